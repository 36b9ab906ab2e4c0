import DefaultTheme from "vitepress/theme";
import type { Theme } from "vitepress";
import Front from "./Front.vue";
import Picture from "./Picture.vue";
import "./style.css";
import { withBase } from "vitepress";

export default {
  extends: DefaultTheme,
  enhanceApp({ app }) {
    app.component("Front", Front);
    app.component("Picture", Picture);
    if (import.meta.env.SSR) return;
    // The guide's instruments: elements of their own, which need nothing of Vue.
    document.head.append(Object.assign(document.createElement("script"), { type: "module", src: withBase("/app/widgets.js") }));
  },
} satisfies Theme;
