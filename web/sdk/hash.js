// hash: SHA-256 of a blob, piece by piece: crypto.subtle wants the whole of it in memory, which
// for a model may be more than a page is given.
// @ts-check

/** Some milliseconds of a page's thread. */
const PIECE_BYTES = 2 ** 18;

/** @type {number[]} */
const primes = [];
for (let n = 2; primes.length < 64; n++)
	if (primes.every((prime) => n % prime))
		primes.push(n);
const fraction = (/** @type {number} */ x) => (x % 1) * 2 ** 32 | 0;
const BEGIN = primes.slice(0, 8).map((prime) => fraction(Math.sqrt(prime)));
const ROUND = Int32Array.from(primes, (prime) => fraction(Math.cbrt(prime)));

/** @type {(x: number, bits: number) => number} */
const turn = (x, bits) => x >>> bits | x << 32 - bits;

/** Of the block that is added. */
const words = new Int32Array(64);

/** @type {(state: Int32Array, piece: DataView, at: number) => void} */
function addBlock(state, piece, at) {
	for (let i = 0; i < 16; i++)
		words[i] = piece.getInt32(at + 4 * i);
	for (let i = 16; i < 64; i++) {
		const x = words[i - 15];
		const y = words[i - 2];
		words[i] = words[i - 16] + words[i - 7] + (turn(x, 7) ^ turn(x, 18) ^ x >>> 3)
			+ (turn(y, 17) ^ turn(y, 19) ^ y >>> 10);
	}

	let [a, b, c, d, e, f, g, h] = state;
	for (let i = 0; i < 64; i++) {
		const one = h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + (e & f ^ ~e & g)
			+ ROUND[i] + words[i];
		const two = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + (a & b | c & (a | b));
		h = g;
		g = f;
		f = e;
		e = d + one | 0;
		d = c;
		c = b;
		b = a;
		a = one + two | 0;
	}
	[a, b, c, d, e, f, g, h].forEach((x, i) => state[i] += x);
}

/** A blob of whole blocks, as the hash wants it. @param {Blob} blob */
function padded(blob) {
	const { size } = blob;
	const end = new DataView(new ArrayBuffer(72 - (size + 8) % 64));
	end.setUint8(0, 0x80);
	end.setBigUint64(end.byteLength - 8, 8n * BigInt(size));
	return new Blob([blob, end]);
}

/** As 64 hexadecimal digits. @param {Blob} blob */
export async function sha256(blob) {
	const all = padded(blob);
	const state = Int32Array.from(BEGIN);
	for (let at = 0; at < all.size; at += PIECE_BYTES) {
		const piece = new DataView(await all.slice(at, at + PIECE_BYTES).arrayBuffer());
		for (let block = 0; block < piece.byteLength; block += 64)
			addBlock(state, piece, block);
	}
	return [...state].map((x) => (x >>> 0).toString(16).padStart(8, "0")).join("");
}
