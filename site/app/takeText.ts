/** Files of text that a reader chooses or drops anywhere on the playground. */
import { find } from "./dom.ts";
import { filled } from "./strings.ts";
import type { ScriptStrings } from "./strings.ts";

/** Puts what a file holds where one's own text is written. `chosen` hears that one was dropped, before it is read; `tell` what came of it. */
export function takeFiles(strings: ScriptStrings, { chosen, tell }: { chosen(): void; tell(text: string): void }): void {
  const take = async (file: File): Promise<void> => {
    try {
      const { textOfFile } = await import("./ownText.ts");
      find<HTMLTextAreaElement>("#own-text").value = await textOfFile(file, strings);
      tell(filled(strings.fileTaken, { name: file.name, bytes: file.size }));
    } catch (error) {
      tell(error instanceof Error ? error.message : String(error));
    }
  };
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    const file = event.dataTransfer?.files[0];
    if (!file) return;
    event.preventDefault();
    chosen();
    void take(file);
  });
  const input = find<HTMLInputElement>("#own-file");
  input.onchange = () => {
    const file = input.files?.[0];
    if (file) void take(file);
  };
}
