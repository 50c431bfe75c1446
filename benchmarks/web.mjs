// Runs a model on images with onnxruntime-web: WebAssembly, one thread. See web.py, which calls this.
//   node web.mjs MODEL.onnx IMAGES.bin '[16, 32, 32, 1]'
// Prints {"version", "load_ms", "run_ms", "logits"} as JSON; run_ms is the median of one image at a time.
import { readFileSync } from 'node:fs'
import * as ort from 'onnxruntime-web'

const TURNS = 20
ort.env.wasm.numThreads = 1
const [file, images, dims] = process.argv.slice(2)
const shape = JSON.parse(dims)
const pixels = new Uint8Array(readFileSync(images))

const started = performance.now()
const session = await ort.InferenceSession.create(readFileSync(file), { executionProviders: ['wasm'] })
const load_ms = performance.now() - started
const { logits } = await session.run({ image: new ort.Tensor('uint8', pixels, shape) })

const image = pixels.slice(0, pixels.length / shape[0])
const times = []
for (let turn = 0; turn < TURNS; turn++) {
  const start = performance.now()
  await session.run({ image: new ort.Tensor('uint8', image, [1, ...shape.slice(1)]) })
  times.push(performance.now() - start)
}
const run_ms = times.sort((a, b) => a - b)[TURNS / 2]
console.log(JSON.stringify({ version: ort.env.versions.web, load_ms, run_ms, logits: Array.from(logits.data) }))
