// @ts-check
// The hardware profiles: how much a page asks of a GPU. The sizes are the predecessor's (256 MiB,
// 1 GiB, 2 GiB for one buffer). Used by the engines, and by the pages to recommend models.

/** @typedef {"lite"|"mid"|"high"} ProfileName */
/**
 * @typedef {object} Profile
 * @property {string} label
 * @property {string} hint
 * @property {number} contextTokens what a conversation may be long, question and answer together
 * @property {number} newTokens what one answer may be long
 * @property {number} bufferBytes the largest single buffer on the GPU
 */

const MIB = 1024 * 1024;

/** @type {Record<ProfileName, Profile>} */
export const profiles = {
	lite: {
		label: "Lite",
		hint: "small models, up to 2 GB of GPU memory",
		contextTokens: 2048,
		newTokens: 256,
		bufferBytes: 256 * MIB,
	},
	mid: {
		label: "Mid",
		hint: "models up to 6 GB of GPU memory",
		contextTokens: 4096,
		newTokens: 512,
		bufferBytes: 1024 * MIB,
	},
	high: {
		label: "High",
		hint: "large models, 8 GB of GPU memory and more",
		contextTokens: 8192,
		newTokens: 1024,
		bufferBytes: 2048 * MIB,
	},
};

/** From the smallest to the largest. */
export const profileNames = /** @type {ProfileName[]} */ (Object.keys(profiles));

/**
 * What suits a GPU, as far as a browser tells: the largest buffer is all that can be known.
 * @param {{software?: boolean, maxBufferSize?: number, mobile?: boolean}} gpu
 * @returns {ProfileName}
 */
export function suitableProfile({ software = false, maxBufferSize = 0, mobile = false }) {
	if (software || mobile || maxBufferSize < profiles.mid.bufferBytes) return "lite";
	return maxBufferSize < profiles.high.bufferBytes ? "mid" : "high";
}

/** Whether a model made for one profile is recommended on another.
 * @param {ProfileName} made @param {ProfileName} profile */
export function suits(made, profile) {
	return profileNames.indexOf(made) <= profileNames.indexOf(profile);
}
