// The demo models' generator, in Node: the same bytes each time, files as the libraries look for
// them, well-formed ONNX, and a language model that says what it has read. That the models really
// run on WebGPU is proven where the pages use them.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { sentences, speak, train } from "../../../web/demo_models/tiny_lm.mjs";
import { topics } from "../../../web/demo_models/tiny_lm_corpus.mjs";
import { bandOf, tones } from "../../../web/demo_models/tone_whisper.mjs";

const BUILD = fileURLToPath(new URL("../../../web/demo_models/build.mjs", import.meta.url));
let folder;

before(async () => {
	folder = await mkdtemp(join(tmpdir(), "baton-models-"));
	for (const name of ["one", "two"]) {
		execFileSync(process.execPath, [BUILD, join(folder, name)], { stdio: "pipe" });
	}
});
after(() => rm(folder, { recursive: true, force: true }));

/** The fields of a protobuf message: [number, value], the value an integer or bytes. */
function fields(bytes) {
	const found = [];
	let at = 0;
	const varint = () => {
		let value = 0n;
		for (let shift = 0n; ; shift += 7n) {
			const byte = BigInt(bytes[at++]);
			value |= (byte & 127n) << shift;
			if (byte < 128n) return Number(value);
		}
	};
	while (at < bytes.length) {
		const tag = varint();
		if ((tag & 7) === 0) {
			found.push([tag >> 3, varint()]);
		} else {
			assert.equal(tag & 7, 2, "only integers and bytes are used");
			const size = varint();
			assert.ok(at + size <= bytes.length, "a field ends inside its message");
			found.push([tag >> 3, bytes.subarray(at, (at += size))]);
		}
	}
	return found;
}

const all = (message, number) => message.filter(([at]) => at === number).map(([, value]) => value);
const text = (bytes) => Buffer.from(bytes).toString();

test("two runs write the same files with the same bytes", async () => {
	const list = async (name) => (await readdir(join(folder, name), { recursive: true })).sort();
	const names = await list("one");
	assert.deepEqual(names, await list("two"));
	for (const name of names.filter((path) => /\.\w+$/.test(path))) {
		const [one, two] = await Promise.all(
			["one", "two"].map((run) => readFile(join(folder, run, name))),
		);
		assert.ok(one.equals(two), name);
	}
	assert.ok(names.includes(join("tiny-lm", "onnx", "model.onnx")));
	assert.ok(names.includes(join("tone-whisper", "onnx", "decoder_model_merged.onnx")));
});

test("a graph uses only values that are there, and makes what it promises", async () => {
	for (const name of [
		"tiny-lm/onnx/model",
		"tone-whisper/onnx/encoder_model",
		"tone-whisper/onnx/decoder_model_merged",
	]) {
		const model = fields(await readFile(join(folder, "one", `${name}.onnx`)));
		const graph = fields(all(model, 7)[0]);
		const known = new Set([
			...all(graph, 5).map((tensor) => text(all(fields(tensor), 8)[0])),
			...all(graph, 11).map((input) => text(all(fields(input), 1)[0])),
		]);
		for (const node of all(graph, 1).map(fields)) {
			for (const input of all(node, 1).map(text)) assert.ok(known.has(input), input);
			for (const output of all(node, 2)) {
				assert.ok(!known.has(text(output)), `${name}: ${text(output)} is made twice`);
				known.add(text(output));
			}
		}
		for (const output of all(graph, 12)) assert.ok(known.has(text(all(fields(output), 1)[0])));
	}
});

test("every topic's words call up its answer, word for word", () => {
	const trained = train();
	for (const topic of topics.filter(({ answer }) => !answer.includes("{about}"))) {
		for (const key of topic.keys) {
			const prompt = `user please tell me xyzzy ${key} assistant`;
			assert.equal(speak(prompt, trained), topic.answer);
		}
	}
	const begins = sentences().map(([, first]) => first);
	const others = new Set(topics.map(({ answer }) => answer.split(" ")[0]));
	assert.equal(others.size, topics.length, "no two answers begin with the same word");
	assert.ok(begins.every((first) => others.has(first)));
});

test("a dream is about the latest thing that was spoken of", () => {
	const trained = train();
	const about = (prompt) => speak(prompt, trained).split(" ").slice(0, 5).join(" ");
	assert.equal(about("user the queue and then dream assistant"), "Two memories speak of waiting");
	assert.equal(about("user my lease ; dream assistant"), "Two memories speak of leases");
});

test("a page's task goes before all topics, and a cut answer is continued", () => {
	const trained = train();
	const refined = speak("system You tidy dictated text user green lease assistant", trained);
	assert.match(refined, /^Refined/);
	const dreamt = speak("system LINKS : numbers user the lease assistant", trained);
	assert.match(dreamt, /^Two memories/);
	const whole = topics.find(({ about }) => about === "closing").answer;
	const [head, tail] = [whole.split(" ").slice(0, 6), whole.split(" ").slice(6)];
	assert.equal(speak(`user a tab assistant ${head.join(" ")}`, trained), tail.join(" "));
});

test("the four tones lie in bands that are apart", () => {
	const bands = Object.values(tones)
		.map(bandOf)
		.sort((a, b) => a - b);
	assert.equal(bands.length, 4);
	for (let i = 1; i < bands.length; i++) assert.ok(bands[i] - bands[i - 1] > 2, `${bands}`);
});
