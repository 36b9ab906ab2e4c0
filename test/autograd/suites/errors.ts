/** Bad input: the operation, what was given and why it does not fit, with the numbers. */
import { expect } from "chai";
import * as api from "switchyard-moe";
import {
  activate,
  arange,
  concat,
  einsum,
  full,
  gatherRows,
  groupedMatmul,
  groupedOuter,
  key,
  ones,
  random,
  scope,
  stack,
  tensor,
  where,
  zeros,
} from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import { CpuBackend } from "switchyard-moe/backend";
import { slotActivation, slotMatmul } from "../../../src/autograd/slots.ts";
import { bf16, f32, f64, int, leaf } from "../helpers.ts";

const x23 = (): Tensor => zeros([2, 3]);
/** What TypeScript would refuse and JavaScript lets through. */
const untyped = (value: unknown): number[] => value as number[];
const instead = (value: unknown): Tensor => value as Tensor;

function freed(): Tensor {
  let inner: Tensor | undefined;
  scope(() => void (inner = ones([2, 3])));
  return inner as Tensor;
}

const elsewhere = (): Tensor => ones([2, 3], { backend: new CpuBackend() });

const bad: Record<string, [() => unknown, RegExp]> = {
  // Shapes
  "shapes that do not broadcast": [() => x23().add(zeros([2, 2])), /^RangeError: add: shapes \[2, 3\] and \[2, 2\] do not broadcast$/],
  "where that does not broadcast": [() => where(zeros([4]), x23(), 0), /where: shapes \[4\], \[2, 3\], \[\] do not broadcast/],
  "a mask that is larger than what it masks": [() => ones([3]).maskedFill(x23(), 0), /maskedFill: \[2, 3\] does not stretch to \[3\]/],
  "matmul, inner sizes": [() => x23().matmul(zeros([4, 5])), /^RangeError: matmul: \[2, 3\] x \[4, 5\]: inner sizes 3 and 4 differ$/],
  "matmul with a vector": [() => x23().matmul(ones([4])), /^RangeError: matmul: \[2, 3\] x \[4\]: inner sizes 3 and 4 differ$/],
  "matmul, a matrix on the right of many": [() => zeros([2, 2, 3]).matmul(zeros([4, 5])), /matmul: \[2, 2, 3\] x \[4, 5\]: inner sizes 3/],
  "matmul, leading axes": [
    () =>
      zeros([2, 1, 3])
        .matmul(zeros([3, 3, 1]))
        .matmul(zeros([4, 1, 1])),
    /matmul: .*leading axes do not broadcast|do not broadcast/,
  ],
  "matmul of a scalar": [() => x23().matmul(tensor(1)), /matmul: \[2, 3\] x \[\]: scalars have no matrix product; use mul/],
  "reshape to another size": [() => x23().reshape([4]), /reshape: \[2, 3\] holds 6 elements, \[4\] would hold 4/],
  "reshape that cannot be inferred": [() => x23().reshape([-1, 4]), /reshape: \[2, 3\] of 6 elements does not fit \[-1, 4\]/],
  "reshape with two unknowns": [() => x23().reshape([-1, -1]), /reshape: .* does not fit \[-1, -1\]/],
  "reshape with a negative size": [() => x23().reshape([-1, -2]), /reshape: .* does not fit \[-1, -2\]/],
  "broadcastTo that does not stretch": [() => x23().broadcastTo([3, 3]), /broadcastTo: \[2, 3\] does not stretch to \[3, 3\]/],
  "broadcastTo a negative size": [() => ones([3]).broadcastTo([-1, 3]), /broadcastTo: shape \[-1, 3\]: sizes are integers of 0 or more/],
  "concat of other sizes": [() => concat([x23(), zeros([3, 3])], 1), /concat: \[3, 3\] beside \[2, 3\]: sizes differ outside axis 1/],
  "concat of nothing": [() => concat([]), /concat: an empty list has no shape/],
  "stack of other shapes": [() => stack([x23(), zeros([2])]), /stack: shapes \[2, 3\] and \[2\] differ/],
  "stack of nothing": [() => stack([]), /stack: an empty list/],
  "squeeze of a longer axis": [() => x23().squeeze(1), /squeeze: axis 1 of \[2, 3\] has size 3, not 1/],
  "split that does not divide": [() => x23().split(2, 1), /split: axis 1 of \[2, 3\] does not divide into 2 equal parts/],
  "split into fractions": [() => x23().split(1.5, 1), /split: axis 1 of \[2, 3\] does not divide into 1.5 equal parts/],
  "split sizes that do not add up": [() => x23().split([1, 1], 1), /split: parts \[1, 1\] add up to 2, axis 1 of \[2, 3\] has 3/],
  "split with a negative size": [() => x23().split([-1, 4], 1), /split: shape \[-1, 4\]: sizes are integers of 0 or more/],
  "slice beyond the end": [() => x23().slice([0, 5]), /slice: \[0, 5\] of axis 0 of \[2, 3\]: want 0 <= start <= stop <= 2/],
  "slice backwards": [() => x23().slice([2, 1]), /slice: \[2, 1\] of axis 0/],
  "slice of too many axes": [() => ones([2]).slice([0], [0]), /slice: 2 ranges for the 1 axes of \[2\]/],
  "a step of 0": [() => ones([3]).slice([0, 3, 0]), /^RangeError: slice: \[0, 3, 0\] of axis 0 of \[3\]: step 0 goes nowhere$/],
  "a step back from before the stop": [
    () => ones([3]).slice([0, 2, -1]),
    /slice: \[0, 2, -1\] of axis 0 of \[3\]: want 3 > start >= stop >= 0 for/,
  ],
  "a step back from beyond the end": [() => ones([3]).slice([3, 0, -1]), /slice: \[3, 0, -1\] of axis 0/],
  "a place before the first, stepping back": [() => ones([3]).slice([-4, null, -1]), /slice: \[-4, null, -1\] of axis 0/],
  "half a step": [() => ones([3]).slice([0, 3, 0.5]), /slice: range 0 0.5: want a whole number, or null/],
  "four numbers for a range": [
    () => ones([3]).slice(untyped([0, 3, 1, 1]) as unknown as [number]),
    /slice: range 0 \[0, 3, 1, 1\]: want \[start, stop, step\]/,
  ],
  "an overwriting scatter whose index does not fit": [
    () => zeros([3, 4]).scatter(int([[0, 1]]), zeros([1, 2]), 1),
    /^RangeError: scatter: index \[1, 2\] does not fit \[3, 4\] outside axis 1$/,
  ],
  "an adding scatter whose index does not fit": [
    () => zeros([3, 4]).scatterAdd(int([[0, 1]]), zeros([1, 2]), 1),
    /^RangeError: scatterAdd: index \[1, 2\] does not fit \[3, 4\] outside axis 1$/,
  ],
  "a scatter beyond the end": [() => zeros([3]).scatter(int([3]), zeros([1])), /scatter: index 3 at 0 is outside 0 to 2/],
  "a scatter of another dtype": [() => zeros([3]).scatter(int([1]), int([1])), /scatter: dtypes float32 and int32 differ/],
  "rows of a scalar": [() => tensor(1).takeRows(int([0])), /^RangeError: takeRows: a scalar has no rows$/],
  "the order of a scalar": [() => tensor(1).argsort(), /argsort: .*scalar/],
  "addAlong by an index of another shape": [() => x23().addAlong(int([[0]]), 1, 3), /addAlong: \[2, 3\] and index \[1, 1\] differ/],
  "accumulateGrad of another shape": [
    () => leaf([1, 2]).accumulateGrad(f64([1])),
    /accumulateGrad: g is float64 \[1\], the tensor float64 \[2\]/,
  ],
  "accumulateGrad of another dtype": [
    () => leaf([1]).accumulateGrad(f32([1])),
    /accumulateGrad: g is float32 \[1\], the tensor float64 \[1\]/,
  ],
  "bytes that are no numbers": [
    () => tensor(untyped(new DataView(new ArrayBuffer(8)))),
    /tensor: data .*: want nested arrays or a typed array of numbers/,
  ],
  "pad integers with a fraction": [() => int([1]).pad([[1, 0]], 0.5), /pad: value 0.5: want a 32-bit integer beside int32/],
  "pad axes that are not there": [
    () =>
      ones([2]).pad([
        [1, 1],
        [1, 1],
      ]),
    /pad: 2 widths for the 1 axes of \[2\]/,
  ],
  "pad by less than nothing": [() => ones([2]).pad([[-1, 0]]), /pad: .*\[-1, 0\]/],
  "a negative size": [() => zeros([2, -1]), /zeros: shape \[2, -1\]: sizes are integers of 0 or more/],
  "a fraction of a size": [() => ones([1.5]), /ones: shape \[1.5\]/],
  "numbers that do not fill a shape": [() => tensor([1, 2, 3], { shape: [2, 2] }), /tensor: 3 numbers do not fill shape \[2, 2\] of 4/],
  "assign of another shape": [() => leaf([1, 2]).assign(f64([1])), /assign: .*\[1\] does not fit .*\[2\]/],
  "a scatter whose index does not fit": [
    () => x23().takeAlong(int([[0]]), 1),
    /takeAlong: index \[1, 1\] does not fit \[2, 3\] outside axis 1/,
  ],
  "addRows whose index does not lead": [() => x23().addRows(int([0, 1, 0]), 2), /addRows: index \[3\] does not lead \[2, 3\]/],
  "a matrix of a vector": [() => ones([3]).tril(), /^RangeError: tril: \[3\]: want at least two axes$/],
  "item of many": [() => x23().itemSync(), /item: \[2, 3\] holds 6 elements, not one; use data\(\)/],
  "topK of too many": [() => x23().topK(4), /topK: k = 4 of an axis of 3 in \[2, 3\]/],
  "fewer than no counts": [() => int([0]).bincount(-1), /^RangeError: bincount: count -1: want a whole number of 0 or more$/],
  "grouped rows with too few offsets": [
    () => groupedMatmul(x23(), zeros([2, 3, 4]), int([0, 2])),
    /groupedMatmul: 2 experts need 3 offsets, given \[2\]/,
  ],
  "tables that do not belong together": [
    () => gatherRows(x23(), int([[0]]), int([[0]])),
    /gatherRows: x \[2, 3\], index \[1, 1\], inverse \[1, 1\]/,
  ],

  "grouped rows of another width": [
    () => groupedMatmul(x23(), zeros([2, 4, 5]), int([0, 1, 2])),
    /groupedMatmul: \[2, 3\], \[2, 4, 5\], offsets \[3\]: want \[M, D\], \[E, D, F\], \[E \+ 1\]/,
  ],
  "offsets that fall": [
    () => groupedMatmul(x23(), zeros([2, 3, 4]), int([0, 2, 1])),
    /groupedMatmul: offset 1 at 2: offsets begin at 0, never fall, and end at 2 rows at most/,
  ],
  "slots of other experts": [
    () => slotMatmul(zeros([2, 3, 4]), zeros([2, 4, 5]), int([[1], [1], [1]])),
    /slotProduct: x \[2, 3, 4\], filled \[3, 1\]: want \[E, G C, D\], \[E, G\]/,
  ],
  "slots that groups do not divide": [
    () =>
      slotMatmul(
        zeros([2, 3, 4]),
        zeros([2, 4, 5]),
        int([
          [1, 1],
          [1, 1],
        ]),
      ),
    /filled \[2, 2\]: want \[E, G C, D\]/,
  ],
  "slots without a group": [
    () => slotMatmul(zeros([2, 3, 4]), zeros([2, 4, 5]), zeros([2, 0], { dtype: "int32" })),
    /filled \[2, 0\]: want/,
  ],
  "slots of another width": [
    () => slotMatmul(zeros([2, 3, 4]), zeros([2, 5, 4]), int([[1], [1]])),
    /slotProduct: x \[2, 3, 4\], weight \[2, 5, 4\]: want \[E, N, D\], \[E, D, F\]/,
  ],
  "slots with a bias for each row": [
    () => slotActivation(zeros([2, 3, 4]), zeros([2, 4, 5]), int([[1], [1]]), "relu", zeros([2, 3, 5])),
    /slotProduct: weight \[2, 4, 5\], bias \[2, 3, 5\]: want \[E, D, F\], \[E, 1, F\]/,
  ],
  "offsets beyond the rows": [() => groupedMatmul(x23(), zeros([2, 3, 4]), int([0, 2, 3])), /groupedMatmul: offset 3 at 2/],
  "offsets that begin late": [() => groupedOuter(x23(), x23(), int([1, 2])), /groupedOuter: offset 1 at 0/],

  // einsum
  "einsum with sizes that differ": [() => einsum("ij,jk", x23(), x23()), /einsum: "ij,jk" with \[2, 3\], \[2, 3\]: axis "j" is 3 and 2/],
  "einsum with a missing operand": [() => einsum("ij,jk", x23()), /einsum: .*it names 2 operands/],
  "einsum with too few letters": [() => einsum("i->i", x23()), /einsum: .*"i" names 1 axes of \[2, 3\]/],
  "einsum with a diagonal": [() => einsum("ii->i", zeros([2, 2])), /einsum: .*"ii" repeats a letter/],
  "einsum with a diagonal of the result": [() => einsum("ij->ii", zeros([2, 2])), /einsum: .*the result "ii" repeats a letter/],
  "einsum with a letter from nowhere": [() => einsum("ij->k", x23()), /einsum: .*the result's "k" occurs in no operand/],
  "einsum with dots that do not stretch": [
    () => einsum("...i,...i->...", x23(), zeros([3, 3])),
    /einsum: "Ai,Ai->A" with \[2, 3\], \[3, 3\]: axis "A" is 2 and 3/,
  ],
  "einsum with dots twice": [() => einsum("......->", x23()), /einsum: .*axes are single letters/],
  "einsum with dots and two arrows": [() => einsum("...->i->i", x23()), /einsum: .*more than one arrow/],
  "einsum with two arrows": [() => einsum("ij->ji->ij", x23()), /einsum: .*more than one arrow/],

  // Axes
  "an axis too far": [() => x23().sum(2), /sum: axis 2 of shape \[2, 3\]; axes are -2 to 1/],
  "half an axis": [() => x23().softmax(0.5), /softmax: axis 0.5: want a whole number/],
  "an axis of a scalar": [() => tensor(1).cumsum(0), /cumsum: axis 0 of shape \[\]; a scalar has no axes/],
  "an axis named twice": [() => x23().sum([0, -2]), /sum: axis 0 is named twice in \[0, -2\]/],
  "two axes named twice": [() => x23().sum([1, 0, 1, 0]), /sum: axis 0 is named twice in \[1, 0, 1, 0\]/],
  "permute that forgets one": [() => x23().permute([0]), /permute: axes \[0\] do not name each axis of \[2, 3\] once/],
  "mean of nothing": [() => zeros([0, 2]).mean(0), /mean: axis 0 of \[0, 2\] has no elements: want at least one/],
  "max of nothing": [() => zeros([0]).max(), /max: axis 0 of \[0\] has no elements/],
  "max along an empty axis": [() => zeros([2, 0]).max(1), /max: axis 1 of \[2, 0\] has no elements/],
  "argmax of nothing": [() => zeros([0]).argmax(), /argmax: axis 0 of \[0\] has no elements/],
  "variance of nothing": [() => zeros([0, 2]).variance(0), /variance: axis 0 of \[0, 2\] has no elements/],
  "standard deviation along an empty axis": [() => zeros([2, 0]).std(1), /variance: axis 1 of \[2, 0\] has no elements/],
  "min of nothing": [() => zeros([0]).min(), /min: axis 0 of \[0\] has no elements/],
  "min along an empty axis": [() => zeros([2, 0]).min(1), /min: axis 1 of \[2, 0\] has no elements/],
  "argmin along an empty axis": [() => zeros([2, 0]).argmin(1), /argmin: axis 1 of \[2, 0\] has no elements/],
  "variance of one, as a sample": [
    () => ones([1]).variance(0, { correction: 1 }),
    /variance: 1 elements less a correction of 1 leave nothing to divide by/,
  ],

  // Dtypes
  "two dtypes": [
    () => f32([1]).add(f64([1])),
    /^TypeError: add: dtypes float32 and float64 differ; use cast\("float32"\) or cast\("float64"\)$/,
  ],
  "bfloat16 beside float32": [() => bf16([1]).add(f32([1])), /add: dtypes bfloat16 and float32 differ; use cast\("float32"\)/],
  "exp of integers": [() => int([1]).exp(), /exp: int32 \[1\]: needs a float dtype; use cast\("float32"\)/],
  "mean of integers": [() => int([1]).mean(), /mean: int32 \[1\]: needs a float dtype/],
  "div of integers": [() => int([1]).div(2), /div: int32 \[1\]: needs a float dtype/],
  "a fraction beside integers": [() => int([1]).add(0.5), /0.5 beside an int32 tensor is not a 32-bit integer/],
  "where of two dtypes": [() => where(int([1]), f32([1]), int([1])), /where: dtypes float32 and int32 differ/],
  "concat of two dtypes": [() => concat([f32([1]), f64([1])]), /concat: dtypes float32 and float64 differ/],
  "a float index": [() => x23().takeRows(f32([0])), /takeRows: index is float32 \[1\], indices are int32; use cast\("int32"\)/],
  "a float class": [() => f32([0]).oneHot(2), /oneHot: index is float32 \[1\], indices are int32/],
  "an activation with a bias of integers": [() => activate(x23(), "relu", int([1, 2, 3])), /relu: dtypes float32 and int32 differ/],
  "a leaf of integers": [() => int([1]).requireGrad(), /requireGrad: .*int32 \[1\]: integers have no gradient/],
  "assign of another dtype": [() => leaf([1]).assign(f32([1])), /assign: .*float32 \[1\] does not fit .*float64 \[1\]/],

  // What JavaScript lets through
  "an array where a tensor belongs": [() => x23().add(instead([1, 2, 3])), /^TypeError: add: y \[1, 2, 3\]: want a tensor or a number/],
  "nothing where a tensor belongs": [() => x23().mul(instead(undefined)), /mul: y is missing: want a tensor or a number/],
  "a truth where a tensor belongs": [() => where(instead(true), x23(), 0), /where: condition true: want a tensor/],
  "a number as a matrix": [() => x23().matmul(instead(2)), /matmul: y 2: want a tensor, such as tensor\(\[1, 2\]\)$/],
  "an array as an index": [() => x23().takeRows(instead([0])), /takeRows: index \[0\]: want a tensor/],
  "an array of operands": [() => einsum("ij,jk", instead([x23(), x23()])), /einsum: operand 0 \[.*\]: want a tensor/],
  "a number to assign": [() => leaf([1]).assign(instead(1)), /assign: value 1: want a tensor/],
  "a size where a shape belongs": [() => zeros(untyped(5)), /^TypeError: zeros: shape 5: want an array; write \[5\]$/],
  "reshape without brackets": [() => x23().reshape(untyped(6)), /reshape: shape 6: want an array; write \[6\]/],
  "permute without brackets": [() => x23().permute(untyped(1)), /permute: axes 1: want an array/],
  "tile without brackets": [() => x23().tile(untyped(2)), /tile: repeats 2: want an array/],
  "concat without brackets": [() => concat(untyped(1) as never), /concat: parts 1: want an array/],
  "axes by name": [() => x23().sum(untyped("rows")), /sum: axes "rows": want an array/],
  "a slice without brackets": [() => x23().slice(untyped(1) as never), /slice: range 0 1: want an array; write \[1\]/],
  "pad without brackets": [() => x23().pad([untyped(1) as never]), /pad: widths\[0\] 1: want \[before, after\]/],
  "gradients without brackets": [
    () =>
      leaf(1)
        .exp()
        .gradients(untyped(1) as never),
    /gradients: xs 1: want an array/,
  ],

  // Values
  "ragged rows": [() => tensor([[1, 2], [3]]), /tensor: ragged: data\[1\] holds 1 entries where the first row says shape \[2, 2\]/],
  "a number among rows": [() => tensor(untyped([[1], 2])), /tensor: ragged: data\[1\] is a number/],
  "rows among numbers": [() => tensor(untyped([1, [2]])), /tensor: /],
  "a string": [() => tensor(untyped("abc")), /tensor: data "abc": want a number or an array of numbers/],
  "nothing at all": [() => tensor(untyped(undefined)), /tensor: data undefined: want a number/],
  "null among numbers": [() => tensor(untyped([1, null])), /tensor: data\[1\] null: want a number or an array/],
  "NaN as an index": [() => int([0, NaN]), /tensor: element 1 is NaN, which is not a 32-bit integer/],
  "half an index": [() => int([0.5]), /tensor: element 0 is 0.5/],
  "half an integer everywhere": [() => full([2], 0.5, { dtype: "int32" }), /full: value 0.5: want a 32-bit integer/],
  "a row that is not there": [() => x23().takeRows(int([0, 2])), /takeRows: index 2 at 1 is outside 0 to 1/],
  "a row before the first": [() => x23().takeRows(int([-1])), /takeRows: index -1 at 0 is outside 0 to 1/],
  "a row that addRows has not": [() => x23().addRows(int([0, 5]), 3), /addRows: index 5 at 1 is outside 0 to 2/],
  "an element that is not there": [() => x23().takeAlong(int([[3], [0]]), 1), /takeAlong: index 3 at 0 is outside 0 to 2/],
  "a place that addAlong has not": [() => ones([1, 1]).addAlong(int([[4]]), 1, 3), /addAlong: index 4 at 0 is outside 0 to 2/],
  "a slot that is not there": [() => gatherRows(x23(), int([[2]]), int([[0], [-1]])), /gatherRows: index 2 at 0 is outside -1 to 1/],
  "an endless range": [() => arange(0, Infinity), /arange: stop Infinity: want a finite number/],
  "a range without steps": [() => arange(0, 3, 0), /^RangeError: arange: step 0: want a number other than 0$/],
  "dropping everything": [() => x23().dropout(1, key(0)), /dropout: rate 1: want a number from 0 to below 1/],
  "dropping less than nothing": [() => x23().dropout(-0.1, key(0)), /dropout: rate -0.1/],
  "a key that is not a number": [() => key(0).at(NaN), /Key.at: path NaN: want a string, or a finite number/],
  "a random tensor of no shape": [() => random.normal([-2], key(0)), /random.normal: shape \[-2\]/],

  // Devices
  "two devices": [
    () => x23().add(elsewhere()),
    /^TypeError: add: operands live on two devices, "(?:cpu|async|wasm)" and "cpu"; move one with x.to\(backend\)/,
  ],
  "assign from another device": [() => leaf([1]).assign(f64([1]).to(new CpuBackend())), /assign: .* lives on|cannot be read at once/],

  // Freed tensors
  "a freed tensor": [
    () => freed().add(1),
    /^ReferenceError: tensor float32 \[2, 3\] was freed: its scope has closed.*return it from the scope to keep it/,
  ],
  "reading a freed tensor": [() => freed().detach(), /was freed/],
  "a view of a freed tensor": [() => freed().transpose(), /was freed/],
  "a walk through freed tensors": [
    () => {
      const x = leaf([1, 2]);
      scope(() => x.exp().square().sum()).backward();
    },
    /was freed/,
  ],

  // Walks
  "backward without history": [
    () => x23().sum().backward(),
    /^ReferenceError: backward: .* has no history: nothing it was computed from requires a gradient/,
  ],
  "gradients without history": [() => f64(1).gradients([leaf(1)]), /gradients: .* has no history/],
  "backward of many": [
    () => leaf([1, 2]).square().backward(),
    /backward: the root has shape \[2\]; give \{ seed \} of that shape, or reduce it to a scalar/,
  ],
  "a seed of another shape": [
    () =>
      leaf([1, 2])
        .square()
        .backward({ seed: f64([1]) }),
    /backward: the seed is float64 \[1\], the root float64 \[2\]/,
  ],
  "a seed of another dtype": [
    () =>
      leaf(1)
        .square()
        .backward({ seed: f32(1) }),
    /backward: the seed is float32 \[\], the root float64 \[\]/,
  ],
  "gradients by what was not tracked": [
    () => {
      const x = f64(2);
      return leaf(1).mul(x).gradients([x]);
    },
    /gradients: tensor float64 \[\] was not tracked/,
  ],
  "a walk after assign": [
    () => {
      const x = leaf(3);
      x.name = "x";
      const y = x.square();
      x.assign(f64(10));
      y.backward();
    },
    /^ReferenceError: backward: "x" float64 \[\] was assigned after square used it \(version 0, now 1\); walk the tape before assign, or compute again$/,
  ],
  "a walk after assign, through a view": [
    () => {
      const x = leaf([[3, 4]]);
      const y = x.transpose().sum();
      x.assign(f64([[1, 2]]));
      y.backward();
    },
    /was assigned after permute used it/,
  ],
  "a second walk after release": [
    () => {
      const x = leaf([1, 2]);
      const y = x.exp().square().sum();
      y.backward({ release: true });
      y.backward();
    },
    /was freed.*backward\(\{ release: true \}\)/,
  ],
  "assign to what was computed": [() => leaf(1).exp().assign(f64(1)), /assign: .* was computed by exp; only leaves can be assigned/],
  "requireGrad of what was computed": [
    () => leaf(1).exp().requireGrad(),
    /requireGrad: .* was computed by exp .*detach\(\) it to make a leaf/,
  ],

  // Sizes that no device has
  "a shape of a million millions": [
    () => zeros([1e15]),
    /^RangeError: zeros: shape \[1000000000000000\] holds 1000000000000000 elements; at most 2147483647 fit$/,
  ],
  "counting to a million millions": [() => arange(1e15), /^RangeError: arange: a result float64 \[1000000000000000\] takes .* bytes/],
  "as many numbers on a line": [() => api.linspace(0, 1, 1e15), /linspace: a result/],
  "an identity that fills the world": [() => api.eye(1e9), /eye: a result float64 \[1000000000, 1000000000\]/],
  "a product of a long column and a long row": [
    () =>
      ones([1, 1])
        .broadcastTo([65536, 1])
        .matmul(ones([1, 1]).broadcastTo([1, 65536])),
    /^RangeError: matmul: a result float32 \[65536, 65536\] takes 17179869184 bytes; a tensor holds at most 2147483648$/,
  ],
  "tiles without end": [() => ones([2]).tile([1e15]), /^RangeError: tile: shape/],
  "a table without end": [() => int([0]).oneHot(1e15), /^RangeError: oneHot: /],
  "bins without end": [() => int([0]).bincount(1e15), /^RangeError: bincount: a result/],
  "rows without end": [() => ones([1]).addRows(int([0]), 1e15), /^RangeError: addRows: a result/],
  "grouped rows without an offset": [
    () => groupedOuter(x23(), x23(), zeros([0], { dtype: "int32" })),
    /groupedOuter: offsets \[0\]: want one at least, \[E \+ 1\]/,
  ],
  "clamp of integers to a fraction": [() => int([1, 2]).clamp(0.5), /clamp: 0.5 beside an int32 tensor is not a 32-bit integer/],
  "maskedFill of integers with a fraction": [
    () => int([1, 2]).maskedFill(int([1, 0]), 0.5),
    /maskedFill: 0.5 beside an int32 tensor is not a 32-bit integer/,
  ],
  "a fused result that no device holds": [
    () => activate(ones([1, 1]).broadcastTo([2 ** 15, 2 ** 15]), "relu"),
    /biasActivation: a result float32 \[32768, 32768\] takes 4294967296 bytes; a tensor holds at most 2147483648/,
  ],
  "parts without end": [() => zeros([0]).split(1e15), /split: axis 0 of \[0\] does not divide into 1000000000000000 equal parts/],
  "random numbers without end": [() => random.normal([1e15], key(1)), /random.normal: shape/],
  "an array that holds itself": [
    () => {
      const ring: unknown[] = [];
      ring.push(ring);
      return tensor(untyped(ring));
    },
    /^RangeError: tensor: data nests deeper than 64 arrays$/,
  ],
  "a bound that nothing is within": [
    () => random.truncatedNormal([2], key(1), { bound: 0 }),
    /^RangeError: random.truncatedNormal: bound 0: want a finite number above 0$/,
  ],
  "a negative bound": [() => random.truncatedNormal([2], key(1), { bound: -1 }), /truncatedNormal: bound -1/],
  "a bound that is no number": [() => random.truncatedNormal([2], key(1), { bound: NaN }), /truncatedNormal: bound NaN/],
  "a range upside down": [() => random.uniform([2], key(1), { low: 1, high: 0 }), /random.uniform: low 1 is above high 0/],
  "a mistyped option": [() => zeros([2], { dtyp: "int32" } as object), /^TypeError: zeros: there is no option dtyp; did you mean dtype\?$/],
  "a mistyped option of a reduction": [
    () => x23().sum(0, { keepDim: true } as object),
    /sum: there is no option keepDim; did you mean keepDims\?/,
  ],
  "a mistyped option of a walk": [
    () => leaf(1).gradients([], { createGrap: true } as object),
    /gradients: there is no option createGrap; did you mean createGraph\?/,
  ],
  "a tensor of its class alone": [
    () => new api.Tensor(undefined as never, undefined as never),
    /^TypeError: Tensor: it has no public constructor; make one with tensor/,
  ],

  // Context
  "a promise in a scope": [() => scope(async () => 1), /^TypeError: scope: the function returned a promise; await outside of scope/],
  "a promise in noGrad": [() => api.noGrad(async () => 1), /noGrad: the function returned a promise/],

  // JavaScript's own operators
  "t + 1": [() => (x23() as unknown as number) + 1, /^TypeError: .*JavaScript operators do not work on tensors; use x.add\(y\)/],
  "t < 1": [() => (x23() as unknown as number) < 1, /JavaScript operators do not work on tensors/],
  "t * 2": [() => (x23() as unknown as number) * 2, /JavaScript operators do not work on tensors/],
  "JSON of a tensor": [() => JSON.stringify({ t: x23() }), /cannot be written as JSON; use await t.array\(\)/],
};

export function errors(): void {
  describe("bad input", () => {
    for (const [title, [act, message]] of Object.entries(bad))
      it(title, () => {
        let thrown: unknown;
        try {
          act();
        } catch (error) {
          thrown = error;
        }
        expect(thrown, "what was thrown").to.be.instanceOf(Error);
        expect(String(thrown)).to.match(message);
      });

    it("names unknown devices and those that exist", async () => {
      const error = await api.useBackend("abacus" as "cpu").catch(String);
      expect(error).to.match(/useBackend: there is no "abacus"; there are auto, cpu, wasm, gpu/);
    });

    it("leaves an inner tensor usable when its scope threw", () => {
      const x = leaf([1, 2]);
      expect(() => scope(() => x.add(f64([1, 2, 3])))).to.throw(/do not broadcast/);
      expect(x.disposed).to.equal(false);
      expect(() => x.add(1)).not.to.throw();
    });

    it("names the first operation that made a number that is not finite", function () {
      if (!ones([1]).backend.downloadSync) return this.skip();
      expect(() => api.debug(() => f64([1, 0]).log().exp())).to.throw(/^log: made Infinity out of \(float64 \[2\]\); the result is \[2\]/);
      expect(() => api.debug(() => f64([-1]).sqrt())).to.throw(/^sqrt: made NaN/);
      expect(() => api.debug(() => where(f64([0, 1]), 1, -Infinity).softmax())).not.to.throw();
    });
  });
}
