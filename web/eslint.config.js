// @ts-check
// What ESLint asks of all JavaScript, in web/, tests/, tools/ and bench/: its own list of likely
// mistakes, and one way where there are two. Layout is prettier's, types are tsc's, who may import
// whom is tools/check/layers.py's. Run by tools/check/javascript.mjs.
import js from "@eslint/js";
import globals from "globals";

/** A module begins with a comment that says what it is for; what tsc checks says so before it.
 * @type {import("eslint").Rule.RuleModule} */
const heads = {
	create: (context) => ({
		Program(node) {
			const comments = context.sourceCode.getAllComments();
			const [first, second] = comments.filter(({ type }) => String(type) !== "Shebang");
			const typed = /^ ?@ts-(no)?check/.test(first?.value ?? "");
			const said = typed ? second : first;
			const begins =
				!said || !node.body[0] || (said.range?.[0] ?? 0) < (node.body[0].range?.[0] ?? 0);
			if (!said || !begins || (!typed && context.filename.endsWith(".js")))
				context.report({
					node,
					message: "Begin with @ts-check (.js), and what the module is for.",
				});
		},
	}),
};

/** @type {import("eslint").Linter.Config[]} */
export default [
	{
		plugins: { baton: { rules: { heads } } },
		languageOptions: { ecmaVersion: 2024, sourceType: "module" },
		linterOptions: { reportUnusedDisableDirectives: "error" },
		rules: {
			...js.configs.recommended.rules,
			"no-undef": "off", // tsc's
			"no-empty": ["error", { allowEmptyCatch: true }],
			"no-unused-vars": [
				"error",
				{ caughtErrors: "none", ignoreRestSiblings: true, argsIgnorePattern: "^_" },
			],
			"array-callback-return": "error",
			"consistent-return": "error",
			"default-case-last": "error",
			eqeqeq: "error",
			"max-lines-per-function": [
				"error",
				{ max: 70, skipBlankLines: true, skipComments: true },
			],
			"no-else-return": "error",
			"no-lonely-if": "error",
			"no-return-assign": "error",
			"no-self-compare": "error",
			"no-sequences": "error",
			"no-shadow": "error",
			"no-throw-literal": "error",
			"no-unneeded-ternary": "error",
			"no-unused-expressions": "error",
			"no-useless-concat": "error",
			"no-useless-return": "error",
			"no-var": "error",
			"object-shorthand": "error",
			"prefer-const": "error",
			"prefer-rest-params": "error",
			"prefer-spread": "error",
			"baton/heads": "error",
		},
	},
	{
		// Nobody else checks the names of what runs in Node alone; tests hold what a page runs, too.
		files: ["**/*.mjs"],
		languageOptions: { globals: { ...globals.node, ...globals.browser } },
		rules: { "no-undef": "error" },
	},
	{
		// A function that a page runs names what it gives back as the test does; `before` is a time.
		files: ["**/tests/**"],
		languageOptions: { globals: { withEngine: "readonly" } },
		rules: { "no-shadow": "off" },
	},
	{
		// A stranger reads the SDK: each name is a word.
		files: ["**/sdk/*.js"],
		rules: { "id-length": ["error", { exceptions: ["_", "a", "b"], properties: "never" }] },
	},
];
