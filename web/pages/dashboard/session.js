// @ts-check
// The dashboard's session, and its first question: a script of its own, so that the broker's answer
// is on its way while the rest of the page is still being fetched. Used by dashboard.js.
import { MonitorSession } from "../../ui/monitor_session.js";

export const session = new MonitorSession({ id: "Dashboard" });

/** The first status, and when it came; null if it did not. */
export const firstStatus = session.ask({ type: "status" }, "status").then(
	(status) => ({ status, at: performance.now() }),
	() => null,
);
