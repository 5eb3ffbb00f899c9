// @ts-check
// The dashboard's session, and its first question: a script of its own, so that the broker's answer
// is on its way while the rest of the page is still being fetched. Used by dashboard.js.
import { MonitorSession } from "../../ui/monitor_session.js";

export const session = new MonitorSession({ id: "Dashboard" });

/** The first status; null if it did not come. */
export const firstStatus = new Promise((resolve) => {
	session.addEventListener(
		"state",
		() => {
			if (session.state !== "open") resolve(null);
			else session.ask({ type: "status" }, "status").then(resolve, () => resolve(null));
		},
		{ once: true },
	);
});
