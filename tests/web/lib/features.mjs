// @ts-check
// What the browsers of the tests leave out: Chromium's suggestions under the address bar. They are
// two pages with a process of their own in each window, which nobody sees here, and which cost more
// than many a page that is tested.
const UNSEEN = ["WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "WebUIOmniboxFullPopup"];
const OPTION = "--disable-features=";

/**
 * The same arguments, with these features left out as well: of several such options Chromium heeds
 * the last one alone.
 * @param {string[]} args @param {string[]} [others]
 */
export function withoutUnseen(args, others = []) {
	const named = args.filter((arg) => arg.startsWith(OPTION));
	const off = [
		...UNSEEN,
		...others,
		...named.flatMap((arg) => arg.slice(OPTION.length).split(",")),
	];
	return [...args.filter((arg) => !named.includes(arg)), OPTION + off.join(",")];
}
