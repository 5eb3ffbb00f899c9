// Makes tone-whisper, a "Whisper" that recognizes four pure tones, one per second, and writes a
// word for each. It really listens: transformers.js computes the log-mel spectrum of the sound as
// for Whisper, and the graph finds the tone in it. It speaks the interface of a Whisper export
// (encoder, merged decoder). Used by build.mjs. It is a demonstration: it understands no speech,
// and the pages say so.
import { FLOAT32, INT64, model, node, tensor, valueInfo } from "./onnx.mjs";
import { wordTokenizer } from "./tokenizer.mjs";

/** The tones in Hz, by the word that is written for them. */
export const tones = { red: 500, green: 1000, blue: 2000, lease: 4000 };

// Numbers from <|notimestamps|> on are times for Whisper, so the words come first.
const WORDS = [
	"<unk>",
	...Object.keys(tones),
	"<|endoftext|>",
	"<|startoftranscript|>",
	"<|notimestamps|>",
];
const END = WORDS.indexOf("<|endoftext|>");
const BEGIN = WORDS.indexOf("<|startoftranscript|>");
const NO_TIMES = WORDS.indexOf("<|notimestamps|>");

// Whisper hears 30 s at a time as 3000 frames of 80 bands; its encoder halves the frames.
const BANDS = 80;
const FRAMES = 3000;
const STATES = FRAMES / 2;
const SECONDS = 30;

// A band's value is about -1.5 in silence and 1.4 in a tone. A tone lights up to three
// neighbours, each weighed 0.5; less than END_SCORE in all is silence, which ends the text.
const TONE_WEIGHT = 0.5;
const END_SCORE = 0.6;
const NEVER = -50;

/** The mel scale as Whisper uses it: even steps up to 1000 Hz, then even ratios. */
const melOfHz = (hz) =>
	hz < 1000 ? (3 * hz) / 200 : 15 + (27 * Math.log(hz / 1000)) / Math.log(6.4);
const hzOfMel = (mel) =>
	mel < 15 ? (200 * mel) / 3 : 1000 * Math.exp((Math.log(6.4) * (mel - 15)) / 27);

/** The band whose centre is nearest to a frequency. Bands are even on the mel scale up to 8 kHz. */
export function bandOf(hz) {
	const centres = Array.from({ length: BANDS }, (_, band) =>
		hzOfMel(((band + 1) * melOfHz(8000)) / (BANDS + 1)),
	);
	const off = centres.map((centre) => Math.abs(centre - hz));
	return off.indexOf(Math.min(...off));
}

/** Every second frame, with the bands last: [b, 80, 3000] -> [b, 1500, 80]. */
function encoder() {
	return model({
		nodes: [
			node("AveragePool", ["input_features"], ["halved"], {
				kernel_shape: [2],
				strides: [2],
			}),
			node("Transpose", ["halved"], ["last_hidden_state"], { perm: [0, 2, 1] }),
		],
		constants: [],
		inputs: [valueInfo("input_features", FLOAT32, ["b", BANDS, FRAMES])],
		outputs: [valueInfo("last_hidden_state", FLOAT32, ["b", STATES, BANDS])],
	});
}

/** From bands to words: how much each band speaks for each word, and what does so beforehand. */
function listening() {
	const weights = new Float32Array(BANDS * WORDS.length);
	const bias = new Float32Array(WORDS.length).fill(NEVER);
	bias[END] = END_SCORE;
	for (const [word, hz] of Object.entries(tones)) {
		const id = WORDS.indexOf(word);
		bias[id] = 0;
		for (const step of [-1, 0, 1]) {
			weights[(bandOf(hz) + step) * WORDS.length + id] = TONE_WEIGHT;
		}
	}
	return { weights, bias };
}

/** The n-th word is what the n-th second sounded like; n is the cache's length less two marks. */
function decoder() {
	const { weights, bias } = listening();
	const cached = ["decoder.key", "decoder.value", "encoder.key", "encoder.value"];
	const growing = cached.slice(0, 2);
	const fixed = cached.slice(2);
	const length = (name) => `${name.slice(0, 3)}_length`;
	return model({
		nodes: [
			node("Reshape", ["encoder_hidden_states", "by_second"], ["seconds"]),
			node("ReduceMean", ["seconds"], ["loudness"], { axes: [2], keepdims: 0 }),
			node("MatMul", ["loudness", "weights"], ["speaks_for"]),
			node("Add", ["speaks_for", "bias"], ["scores"]),
			// The cache: one number per word so far, so that its length tells the position.
			node("Cast", ["input_ids"], ["ids_float"], { to: FLOAT32 }),
			node("Unsqueeze", ["ids_float", "axes_1_3"], ["ids_as_cache"]),
			...growing.map((name) =>
				node(
					"Concat",
					[`past_key_values.0.${name}`, "ids_as_cache"],
					[`present.0.${name}`],
					{ axis: 2 },
				),
			),
			...fixed.map((name) =>
				node("Identity", [`past_key_values.0.${name}`], [`present.0.${name}`]),
			),
			node("Shape", ["present.0.decoder.key"], ["cache_shape"]),
			node("Gather", ["cache_shape", "two"], ["cache_length"]),
			node("Sub", ["cache_length", "two"], ["second"]),
			node("Min", ["second", "last_second"], ["second_checked"]),
			node("Gather", ["scores", "second_checked"], ["logits"], { axis: 1 }),
		],
		constants: [
			tensor("weights", FLOAT32, [BANDS, WORDS.length], weights),
			tensor("bias", FLOAT32, [WORDS.length], bias),
			tensor("by_second", INT64, [4], [-1, SECONDS, STATES / SECONDS, BANDS]),
			tensor("axes_1_3", INT64, [2], [1, 3]),
			tensor("two", INT64, [1], [2]),
			tensor("last_second", INT64, [1], [SECONDS - 1]),
		],
		inputs: [
			valueInfo("input_ids", INT64, ["b", "s"]),
			valueInfo("encoder_hidden_states", FLOAT32, ["b", STATES, BANDS]),
			...cached.map((name) =>
				valueInfo(`past_key_values.0.${name}`, FLOAT32, [
					"b",
					1,
					`past_${length(name)}`,
					1,
				]),
			),
		],
		outputs: [
			valueInfo("logits", FLOAT32, ["b", 1, WORDS.length]),
			...cached.map((name) =>
				valueInfo(`present.0.${name}`, FLOAT32, ["b", 1, length(name), 1]),
			),
		],
	});
}

/** The model's files: path -> bytes or an object to be written as JSON. */
export function toneWhisper() {
	const marks = {
		decoder_start_token_id: BEGIN,
		eos_token_id: END,
		bos_token_id: END,
		pad_token_id: END,
	};
	const end = "<|endoftext|>";
	return {
		"config.json": {
			model_type: "whisper",
			architectures: ["WhisperForConditionalGeneration"],
			is_encoder_decoder: true,
			vocab_size: WORDS.length,
			d_model: BANDS,
			encoder_layers: 1,
			encoder_attention_heads: 1,
			decoder_layers: 1,
			decoder_attention_heads: 1,
			num_mel_bins: BANDS,
			max_source_positions: STATES,
			max_target_positions: 448,
			...marks,
		},
		"generation_config.json": {
			...marks,
			no_timestamps_token_id: NO_TIMES,
			is_multilingual: false,
			max_length: 64,
		},
		"preprocessor_config.json": {
			feature_extractor_type: "WhisperFeatureExtractor",
			processor_class: "WhisperProcessor",
			feature_size: BANDS,
			sampling_rate: 16000,
			hop_length: 160,
			n_fft: 400,
			chunk_length: SECONDS,
			n_samples: 16000 * SECONDS,
			nb_max_frames: FRAMES,
			padding_side: "right",
			padding_value: 0,
			return_attention_mask: false,
		},
		"tokenizer.json": wordTokenizer(
			WORDS,
			WORDS.filter((word) => word.startsWith("<")),
			"WhitespaceSplit",
		),
		"tokenizer_config.json": {
			tokenizer_class: "WhisperTokenizer",
			unk_token: "<unk>",
			bos_token: end,
			eos_token: end,
			pad_token: end,
		},
		"onnx/encoder_model.onnx": encoder(),
		"onnx/decoder_model_merged.onnx": decoder(),
	};
}
