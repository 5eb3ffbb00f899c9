// @ts-check
// The package as others install it runs as it is: its modules depend on each other in another order
// than those of the tree, which fetch some later.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { tempFolder } from "../lib/children.mjs";
import { installSdk } from "../lib/package.mjs";

for (const entry of ["@baton/sdk", "@baton/sdk/serve"])
	test(`${entry} of the package can be loaded`, () => {
		const folder = tempFolder("baton-packed");
		installSdk(folder);
		writeFileSync(
			join(folder, "page.mjs"),
			`import * as sdk from "${entry}"; console.log(Object.keys(sdk).length > 0);`,
		);
		const said = execFileSync(process.execPath, [join(folder, "page.mjs")], {
			encoding: "utf8",
		});
		assert.equal(said, "true\n");
	});
