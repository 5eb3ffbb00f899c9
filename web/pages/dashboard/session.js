// @ts-check
// The dashboard's session, and its first question: a script of its own, so that the broker's answer
// is on its way while the rest of the page is still being fetched. Used by dashboard.js.
import { Watch } from "../../ui/watch.js";

export const watch = new Watch({ id: "Dashboard" });

/** The first status; null if it did not come. */
export const firstStatus = new Promise((resolve) => {
	watch.addEventListener("state", () => {
		if (watch.state !== "open") resolve(null);
		else watch.ask({ type: "status" }, "status").then(resolve, () => resolve(null));
	}, { once: true });
});
