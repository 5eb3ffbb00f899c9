// Writes the demo models: `node web/demo_models/build.mjs OUTDIR` makes OUTDIR/tiny-lm and
// OUTDIR/tone-whisper, and the list of the user's own models, empty: a folder of theirs lies over
// it (baton serve --models). Downloads nothing, depends on nothing, and writes the same bytes every
// time. Called by the build.
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { tinyLm } from "./tiny_lm.mjs";
import { toneWhisper } from "./tone_whisper.mjs";

const models = { "tiny-lm": tinyLm, "tone-whisper": toneWhisper };

const folder = process.argv[2];
if (!folder) {
	process.stderr.write("usage: node web/demo_models/build.mjs OUTDIR\n");
	process.exit(64);
}
let bytes = 0;
for (const [name, make] of Object.entries(models)) {
	for (const [path, content] of Object.entries(make())) {
		const to = join(folder, name, path);
		const data = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content));
		await mkdir(dirname(to), { recursive: true });
		await writeFile(to, data);
		bytes += data.length;
	}
}
await writeFile(join(folder, "models.json"), "[]\n");
process.stdout.write(`models: ${Object.keys(models).join(", ")}: ${(bytes / 1e3).toFixed(0)} kB\n`);
