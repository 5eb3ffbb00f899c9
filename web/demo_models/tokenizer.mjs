// Makes tokenizer.json as the Hugging Face libraries read it: one word is one token, and a list
// of words is the whole vocabulary. Used by tiny_lm.mjs and tone_whisper.mjs.

/**
 * @param {string[]} words the vocabulary; a word's number is its place
 * @param {string[]} special those of them that are marks, never part of a text
 * @param {string} splitter "Whitespace" also parts words from punctuation, "WhitespaceSplit" not
 */
export function wordTokenizer(words, special, splitter) {
	return {
		version: "1.0",
		truncation: null,
		padding: null,
		added_tokens: special.map((content) => ({
			id: words.indexOf(content),
			content,
			single_word: false,
			lstrip: false,
			rstrip: false,
			normalized: false,
			special: true,
		})),
		normalizer: null,
		pre_tokenizer: { type: splitter },
		post_processor: null,
		decoder: null,
		model: {
			type: "WordLevel",
			vocab: Object.fromEntries(words.map((word, id) => [word, id])),
			unk_token: "<unk>",
		},
	};
}
