// @ts-check
// What `baton open` left in this browser (sign_in.js). For whatever asks the broker.

export function pageKey() {
	try {
		return localStorage.getItem("baton-key") ?? undefined;
	} catch {
		return undefined; // site data is blocked: signed out
	}
}
