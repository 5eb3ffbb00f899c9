// hash: SHA-256 of a blob, piece by piece: crypto.subtle wants the whole of it in memory, which
// for a model may be more than a page is given.
// @ts-check

/** Some milliseconds of a page's thread. */
const PIECE_BYTES = 2 ** 18;

/** @type {number[]} */
const primes = [];
for (let n = 2; primes.length < 64; n++) if (primes.every((prime) => n % prime)) primes.push(n);
/** @type {(x: number) => number} */
const fraction = (x) => ((x % 1) * 2 ** 32) | 0;
const BEGIN = Int32Array.from(primes.slice(0, 8), (prime) => fraction(Math.sqrt(prime)));
const ROUND = Int32Array.from(primes, (prime) => fraction(Math.cbrt(prime)));

/** @type {(x: number, bits: number) => number} */
const turn = (x, bits) => (x >>> bits) | (x << (32 - bits));

/** Of the block that is added. */
const words = new Int32Array(64);

/** @type {(state: Int32Array, piece: DataView, at: number) => void} */
function addBlock(state, piece, at) {
	for (let i = 0; i < 16; i++) words[i] = piece.getInt32(at + 4 * i);
	for (let i = 16; i < 64; i++) {
		const [x, y] = [words[i - 15], words[i - 2]];
		words[i] =
			words[i - 16]
			+ words[i - 7]
			+ (turn(x, 7) ^ turn(x, 18) ^ (x >>> 3))
			+ (turn(y, 17) ^ turn(y, 19) ^ (y >>> 10));
	}

	let [a, b, c, d, e, f, g, h] = state;
	for (let i = 0; i < 64; i++) {
		const one =
			h
			+ (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25))
			+ ((e & f) ^ (~e & g))
			+ ROUND[i]
			+ words[i];
		const two = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) | (c & (a | b)));
		[h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
	}
	[a, b, c, d, e, f, g, h].forEach((x, i) => (state[i] += x));
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
		for (let i = 0; i < piece.byteLength; i += 64) addBlock(state, piece, i);
	}
	return Array.from(state, (x) => (x >>> 0).toString(16).padStart(8, "0")).join("");
}
