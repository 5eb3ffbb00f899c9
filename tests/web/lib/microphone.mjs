// @ts-check
// The fake microphone of a page, for the tests of Root Mic: the streams that the page opened, so
// that a test can see them ended.

/** @typedef {import("playwright-core").Page} Page */

/** Before the page is loaded. @param {Page} page */
export const watchStreams = (page) =>
	page.addInitScript(() => {
		const opened = /** @type {any} */ (globalThis.streams = []);
		const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
		navigator.mediaDevices.getUserMedia = async (constraints) => {
			const stream = await real(constraints);
			opened.push(stream);
			return stream;
		};
	});

/** @param {Page} page @returns {Promise<number>} */
export const liveTracks = (page) =>
	page.evaluate(
		() =>
			/** @type {any} */ (globalThis).streams
				.flatMap((/** @type {MediaStream} */ stream) => stream.getTracks())
				.filter((/** @type {MediaStreamTrack} */ track) => track.readyState === "live")
				.length,
	);
