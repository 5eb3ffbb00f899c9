// worker: runs a Link in a dedicated Worker, where a hidden or blocked page still answers the
// broker. Started by port.js.
// @ts-check
import { Link } from "./link.js";

const link = new Link((event) => {
	postMessage(event);
	if (event.ev === "stopped")
		close();
});
onmessage = (event) => link.do(event.data);
postMessage({ ev: "up" });
