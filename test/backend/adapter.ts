/** WebGPU in Node where there is no GPU: SwiftShader, a software adapter that comes with Chromium. */
import { existsSync } from "node:fs";

const swiftShader = "/usr/lib/chromium/vk_swiftshader_icd.json";

/** Points the Vulkan loader to it, unless someone pointed it elsewhere. */
export function useSwiftShader(): void {
  if (!process.env["VK_ICD_FILENAMES"] && existsSync(swiftShader)) process.env["VK_ICD_FILENAMES"] = swiftShader;
}
