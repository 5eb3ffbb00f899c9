// @ts-check
// files: all files of a model as one: what lacks is fetched, one after the other; what is there is
// found, checked or deleted.
import { bring, cached, forget } from "./download.js";
import { BrokerError } from "./errors.js";

/** @import { KnownFile, ModelFile, RunOptions } from "./types.js" */

/** @param {string | ModelFile} file @returns {KnownFile} */
function known(file) {
	const named = typeof file === "string" ? { url: file } : file;
	const { href, protocol } = new URL(named.url, globalThis.location?.href);
	if (!/^https?:$/.test(protocol))
		throw new BrokerError("DENIED", `No storage keeps ${protocol} addresses; use https.`);
	return { cache: "baton-models", ...named, url: href };
}

export class Files {
	/** @type {KnownFile[]} */ list = [];
	/** Optional ones that the server does not have. @type {Set<KnownFile>} */
	absent = new Set();

	/** @param {(string | ModelFile)[]} files */
	add(files) {
		for (const file of files.map(known))
			if (!this.list.some(({ url, cache }) => url === file.url && cache === file.cache))
				this.list.push(file);
	}

	/** @param {string} url @returns {Promise<Response | undefined>} */
	async match(url) {
		const { href } = new URL(url, globalThis.location?.href);
		const file = this.list.find((each) => each.url === href);
		return file && cached(file);
	}

	async complete() {
		for (const file of this.list)
			if (!this.absent.has(file) && !(await cached(file))) return false;
		return true;
	}

	/** @param {RunOptions} o */
	async fetch({ signal, stallMs, onProgress }) {
		const sizes = new Map(this.list.map((file) => [file, [0, file.bytes ?? 0]]));
		for (const file of this.list) {
			const onBytes = (/** @type {number} */ loaded, /** @type {number} */ total) => {
				sizes.set(file, [loaded, Math.max(loaded, total)]);
				onProgress?.({ text: "Fetching the model", file: file.url, ...sum(sizes) });
			};
			if (!(await cached(file))) onBytes(0, file.bytes ?? 0);
			await bring(file, { signal, stallMs, onBytes }).catch((error) => {
				if (!file.optional || error.detail?.status !== 404) throw error;
				this.absent.add(file);
			});
			const [loaded, total] = sizes.get(file) ?? [];
			sizes.set(file, [loaded || total || 0, total || 0]);
		}
	}

	async forget() {
		this.absent.clear();
		for (const file of this.list) await forget(file);
	}
}

/** @param {Map<unknown, number[]>} sizes */
function sum(sizes) {
	let [loaded, total] = [0, 0];
	for (const [some, all] of sizes.values()) [loaded, total] = [loaded + some, total + all];
	return { loaded, total, fraction: total ? loaded / total : 0 };
}
