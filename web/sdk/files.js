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
	return { cache: "baton-models", ...named, url: href, absent: false, loaded: 0, total: 0 };
}

export class Files {
	/** @type {KnownFile[]} */ list = [];

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
		for (const file of this.list) if (!file.absent && !(await cached(file))) return false;
		return true;
	}

	/** @param {RunOptions} o */
	async fetch({ signal, stallMs, onProgress }) {
		for (const file of this.list) {
			file.loaded = 0;
			file.total = file.bytes ?? 0;
		}
		for (const file of this.list) {
			const onBytes = (/** @type {number} */ loaded, /** @type {number} */ total) => {
				file.loaded = loaded;
				file.total = Math.max(loaded, total);
				onProgress?.({ text: "Fetching the model", file: file.url, ...this.#sum() });
			};
			if (!(await cached(file))) onBytes(0, file.total);
			await bring(file, { signal, stallMs, onBytes }).catch((error) => {
				if (!file.optional || error.detail?.status !== 404) throw error;
				file.absent = true;
			});
			file.loaded ||= file.total;
		}
	}

	async forget() {
		for (const file of this.list) {
			file.absent = false;
			await forget(file);
		}
	}

	#sum() {
		let loaded = 0;
		let total = 0;
		for (const file of this.list) {
			loaded += file.loaded;
			total += file.total;
		}
		return { loaded, total, fraction: total ? loaded / total : 0 };
	}
}
