// Writes ONNX models: the few parts of the format (a protobuf message) that the demo models need.
// Knows no model; optimizes and checks nothing. Used by tiny_lm.mjs and tone_whisper.mjs.
//
// A protobuf message is a row of fields. Each field begins with a tag, its number and its wire
// type, and all that is used here are two wire types: 0, an integer, and 2, bytes with their
// length before them (texts, arrays and nested messages alike). The numbers below are those of
// onnx.proto.

/** Element types of tensors (TensorProto.DataType). */
export const FLOAT32 = 1;
export const INT64 = 7;

const IR_VERSION = 8;
const OPSET_VERSION = 17; // the newest that reduces over axes given as an attribute
const PRODUCER = "baton-demo-models";

/** An integer, seven bits a byte, the lowest first; the high bit says that more follow. */
function varint(value) {
	let rest = BigInt.asUintN(64, BigInt(value));
	const bytes = [];
	while (rest > 127n) {
		bytes.push(Number(rest & 127n) | 128);
		rest >>= 7n;
	}
	bytes.push(Number(rest));
	return Buffer.from(bytes);
}

/** Field `number` that holds an integer. */
const intField = (number, value) => Buffer.concat([varint(number << 3), varint(value)]);

/** Field `number` that holds bytes: a text, an array or a message. */
function bytesField(number, value) {
	const bytes = Buffer.from(value);
	return Buffer.concat([varint((number << 3) | 2), varint(bytes.length), bytes]);
}

/** The same field once per element: how protobuf writes a list. */
const listOf = (number, values) => values.map((value) => bytesField(number, value));

/** A constant of the graph (TensorProto), stored row by row in little-endian order. */
export function tensor(name, type, dims, values) {
	const data =
		type === FLOAT32
			? Float32Array.from(values)
			: BigInt64Array.from(values, (value) => BigInt(value));
	return Buffer.concat([
		...dims.map((dim) => intField(1, dim)),
		intField(2, type),
		bytesField(8, name),
		bytesField(9, new Uint8Array(data.buffer)),
	]);
}

/** An attribute of an operator (AttributeProto): an integer or a list of integers. */
function attribute(name, value) {
	if (Array.isArray(value)) {
		return Buffer.concat([
			bytesField(1, name),
			...value.map((item) => intField(8, item)),
			intField(20, 7),
		]);
	}
	return Buffer.concat([bytesField(1, name), intField(3, value), intField(20, 2)]);
}

/** One operator (NodeProto). Values are named; a node makes the values that it lists as outputs. */
export function node(operator, inputs, outputs, attributes = {}) {
	return Buffer.concat([
		...listOf(1, inputs),
		...listOf(2, outputs),
		bytesField(3, `${outputs[0]}_node`),
		bytesField(4, operator),
		...listOf(
			5,
			Object.entries(attributes).map(([name, value]) => attribute(name, value)),
		),
	]);
}

/** An input or output of the graph (ValueInfoProto); a dimension that varies has a name. */
export function valueInfo(name, type, shape) {
	const dims = shape.map((dim) =>
		typeof dim === "number" ? intField(1, dim) : bytesField(2, dim),
	);
	const tensorType = Buffer.concat([
		intField(1, type),
		bytesField(2, Buffer.concat(listOf(1, dims))),
	]);
	return Buffer.concat([bytesField(1, name), bytesField(2, bytesField(1, tensorType))]);
}

/** The whole file (ModelProto). */
export function model({ nodes, constants, inputs, outputs }) {
	const graph = Buffer.concat([
		...listOf(1, nodes),
		bytesField(2, "graph"),
		...listOf(5, constants),
		...listOf(11, inputs),
		...listOf(12, outputs),
	]);
	const opset = Buffer.concat([bytesField(1, ""), intField(2, OPSET_VERSION)]);
	return Buffer.concat([
		intField(1, IR_VERSION),
		bytesField(2, PRODUCER),
		bytesField(7, graph),
		bytesField(8, opset),
	]);
}
