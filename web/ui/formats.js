// @ts-check
// How numbers are written: bytes, seconds, times of day. Pure.

/** Bytes as people read memory: 512 MiB, 3.5 GiB. @param {number|null|undefined} bytes */
export function formatBytes(bytes) {
	if (bytes === null || bytes === undefined || !Number.isFinite(bytes)) return "unknown";
	if (bytes < 1024) return `${Math.round(bytes)} B`;
	if (bytes < 2 ** 20) return `${Math.round(bytes / 1024)} KiB`;
	if (bytes < 2 ** 30) return `${Math.round(bytes / 2 ** 20)} MiB`;
	const gib = bytes / 2 ** 30;
	return `${gib < 100 ? gib.toFixed(1) : Math.round(gib)} GiB`;
}

/**
 * Seconds as people say them: 0.4 s, 12 s, 3 min 5 s, 2 h 10 min.
 * @param {number|null|undefined} s
 */
export function formatSeconds(s) {
	if (s === null || s === undefined || !Number.isFinite(s)) return "unknown";
	const whole = Math.max(0, s);
	if (whole < 9.95) return `${whole.toFixed(1)} s`;
	if (whole < 59.5) return `${Math.round(whole)} s`;
	const minutes = Math.floor(Math.round(whole) / 60);
	if (minutes < 60) return `${minutes} min ${Math.round(whole) % 60} s`;
	if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
	return `${Math.floor(minutes / 1440)} days`;
}

const clock = new Intl.DateTimeFormat(undefined, {
	hour: "2-digit",
	minute: "2-digit",
	second: "2-digit",
	hour12: false,
});

/** A moment as a time of day. @param {Date|number|string} time */
export function formatTime(time) {
	const date = time instanceof Date ? time : new Date(time);
	return Number.isNaN(date.getTime()) ? "unknown" : clock.format(date);
}
