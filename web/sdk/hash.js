// @ts-check
// hash: SHA-256 of a blob, piece by piece: crypto.subtle wants the whole of it in memory, which
// for a model may be more than a page is given.

/** Some milliseconds of a page's thread. */
const PIECE_BYTES = 2 ** 18;

/** @type {number[]} */
const primes = [];
for (let number = 2; primes.length < 64; number++)
	if (primes.every((prime) => number % prime)) primes.push(number);
/** @type {(root: number) => number} */
const fraction = (root) => ((root % 1) * 2 ** 32) | 0;
const BEGIN = Int32Array.from(primes.slice(0, 8), (prime) => fraction(Math.sqrt(prime)));
const ROUND = Int32Array.from(primes, (prime) => fraction(Math.cbrt(prime)));

/** @type {(word: number, bits: number) => number} */
const rotate = (word, bits) => (word >>> bits) | (word << (32 - bits));

/** Of the block that is added. */
const words = new Int32Array(64);

/** @type {(state: Int32Array, piece: DataView, at: number) => void} */
function addBlock(state, piece, at) {
	for (let round = 0; round < 16; round++) words[round] = piece.getInt32(at + 4 * round);
	for (let round = 16; round < 64; round++) {
		const [early, late] = [words[round - 15], words[round - 2]];
		words[round] =
			words[round - 16]
			+ words[round - 7]
			+ (rotate(early, 7) ^ rotate(early, 18) ^ (early >>> 3))
			+ (rotate(late, 17) ^ rotate(late, 19) ^ (late >>> 10));
	}

	// The letters are those of FIPS 180-4.
	/* eslint-disable id-length */
	let [a, b, c, d, e, f, g, h] = state;
	for (let round = 0; round < 64; round++) {
		const one =
			h
			+ (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25))
			+ ((e & f) ^ (~e & g))
			+ ROUND[round]
			+ words[round];
		const two = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) | (c & (a | b)));
		[h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
	}
	[a, b, c, d, e, f, g, h].forEach((word, index) => (state[index] += word));
	/* eslint-enable id-length */
}

/** As 64 hexadecimal digits. @param {Blob} blob */
export async function sha256(blob) {
	const state = BEGIN.slice();
	// A bit, and its length in bits at the end of the last block.
	const end = new DataView(new ArrayBuffer(72 - ((blob.size + 8) % 64)));
	end.setInt8(0, 128);
	end.setBigInt64(end.byteLength - 8, BigInt(8 * blob.size));

	const all = new Blob([blob, end]);
	for (let at = 0; at < all.size; at += PIECE_BYTES) {
		const piece = new DataView(await all.slice(at, at + PIECE_BYTES).arrayBuffer());
		for (let block = 0; block < piece.byteLength; block += 64) addBlock(state, piece, block);
	}
	return Array.from(state, (word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
}
