// @ts-check
// The examples of web/sdk/README.md as files that a browser loads: each block of code that begins
// with its file's name, word for word. Bare names become addresses, as a bundler would make them.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { batonPath, packageFile, root } from "./packages.mjs";

const BARE = {
	"@baton/sdk": "/sdk/index.js",
	"@huggingface/transformers": "/vendor/transformers.js",
	"@mlc-ai/web-llm": "/vendor/web-llm.js",
	react: "/react.js",
	vue: "/vue.js",
};

/** The text of each example by its file's name, such as "chat.js".
 * @returns {Record<string, string>} */
export function readmeExamples() {
	const text = readFileSync(join(root, "web/sdk/README.md"), "utf8");
	const blocks = [...text.matchAll(/^```jsx?\n\/\/ (\w+\.jsx?)\n([^]*?)^```$/gm)];
	return Object.fromEntries(blocks.map(([, name, code]) => [name, code]));
}

/** Each block of JavaScript or TypeScript in a document, as a file of its name or of a number.
 * @param {string} file */
export function snippets(file) {
	const text = readFileSync(join(root, file), "utf8");
	const prefix = file.replace(/\W/g, "_");
	return [...text.matchAll(/^```([jt]sx?)\n([^]*?)^```$/gm)].map(([, type, code], at) => ({
		name: /^\/\/ (\w+\.\w+)\n/.exec(code)?.[1] ?? `${prefix}_${at + 1}.${type}`,
		code,
	}));
}

/** @param {string} code @param {Record<string, string>} [others] */
export function resolved(code, others = {}) {
	const names = { ...BARE, ...others };
	return code.replace(
		/(\bfrom ")([^"./][^"]*)"/g,
		(_, before, name) => `${before}${names[/** @type {keyof typeof BARE} */ (name)] ?? name}"`,
	);
}

/** A file of /vendor, as `make pages` laid it out. @param {string} name */
export const vendored = (name) => readFileSync(join(dirname(batonPath), "web/vendor", name));

/** Packages that know no ES modules, as one: what each file exports goes to those after it.
 * @param {Record<string, string>} files by the name that they are required by: package/path
 * @param {string[]} names what the last one exports */
export function asModule(files, names) {
	const parts = Object.entries(files).map(([name, path]) => {
		const [owner, ...inside] = path.split("/");
		const file = join(dirname(packageFile(`${owner}/package.json`)), ...inside);
		return (
			`modules[${JSON.stringify(name)}] = ((module, exports, require) => {\n`
			+ `${readFileSync(file, "utf8")}\nreturn module.exports;\n})`
			+ "(...fresh());"
		);
	});
	return `const process = { env: { NODE_ENV: "development" } };
const modules = {};
const fresh = (module = { exports: {} }) => [module, module.exports, (n) => modules[n]];
${parts.join("\n")}
export const { ${names.join(", ")} } = Object.assign({}, ...Object.values(modules));
`;
}
