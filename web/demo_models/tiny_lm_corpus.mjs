// What the tiny language model has read: its topics, each with the words that call it up and the
// answer it has learned. Every text is about what Baton does, so that a demo's answers are true.
// Used by tiny_lm.mjs (and by its test, which reads the answers back).

/**
 * keys: words of a prompt that call the topic up (also with a capital letter); the last one wins.
 * task: a word of a page's instructions to its model; it calls the topic up whatever follows.
 * answer: words and punctuation, apart by blanks. An answer begins with a word that no other one
 * begins with. {about} stands for what the conversation was about before (`about` of that topic).
 */
export const topics = [
	{
		// The word that begins each turn of the user: what is said when nothing else was
		// recognized.
		keys: ["user"],
		about: "waiting",
		answer:
			"I am a tiny demo model and know few words . Ask me about the queue , a "
			+ "lease , memory , voice , a closed tab or a dream .",
	},
	{
		keys: ["hello", "hi", "hey", "morning", "evening"],
		about: "meeting",
		answer:
			"Hello ! This answer comes from your GPU , word by word , while this "
			+ "page holds the lease .",
	},
	{
		keys: ["who", "model", "demo", "name", "real"],
		about: "models",
		answer:
			"My whole brain is a table of which word follows which . Choose another "
			+ "model for real conversations .",
	},
	{
		keys: ["lease", "leases", "gpu", "GPU", "broker", "baton", "holder", "lock", "grant"],
		about: "leases",
		answer:
			"The broker grants one lease at a time . Whoever holds it computes , all "
			+ "others have a place in the queue .",
	},
	{
		keys: ["queue", "wait", "waits", "waiting", "fair", "place", "turn", "turns", "order"],
		about: "waiting",
		answer:
			"Waiting is fair here , your place only moves forward , and the page "
			+ "shows how long at most .",
	},
	{
		keys: ["tab", "tabs", "close", "closed", "closes", "crash", "crashed", "page", "browser"],
		about: "closing",
		answer:
			"When a tab closes or crashes , its lease ends within two seconds and "
			+ "the next in line goes on .",
	},
	{
		keys: ["voice", "speech", "mic", "microphone", "sound", "tone", "green", "red", "blue"],
		about: "listening",
		answer: "Voice goes before all other work , because somebody is speaking right now .",
	},
	{
		keys: ["vram", "VRAM", "bytes", "full", "room", "load", "loading", "evict"],
		about: "room",
		answer:
			"Each loaded model counts in the ledger . If another needs its room , "
			+ "the idle one leaves first .",
	},
	{
		keys: ["stop", "stopped", "revoke", "revoked", "yield", "interrupt", "preempt"],
		about: "stopping",
		answer:
			"Somebody with more right needed it . What was written is kept , and you "
			+ "can go on later .",
	},
	{
		task: "dictated",
		keys: ["refine", "refined", "rewrite", "transcript", "transcription", "correct", "clean"],
		about: "listening",
		answer:
			"Refined by the demo model , the words above were heard as clear tones , "
			+ "and their order is kept .",
	},
	{
		keys: ["memory", "memories", "note", "notes", "remember"],
		answer:
			"Notes and conversations stay in this browser . The dreamer reads them "
			+ "when nobody else needs the GPU .",
	},
	{
		task: "LINKS",
		keys: ["dream", "dreams", "dreaming", "thought", "link", "connect", "think"],
		answer:
			"Two memories speak of {about} . They belong together , both ask who "
			+ "comes next , and both can rest now .",
	},
	{
		keys: ["thanks", "thank", "bye", "goodbye"],
		about: "parting",
		answer: "You are welcome . Releasing the GPU takes less time than reading this .",
	},
];
