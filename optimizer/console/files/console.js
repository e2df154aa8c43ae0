// Keys for people who label and decide all day. Without this file every page still works.
(() => {
  "use strict";
  const typing = (element) => element instanceof HTMLElement && element.matches("input, textarea, select, [contenteditable]");
  const rows = () => [...document.querySelectorAll("[data-row]")];
  const here = () => rows().findIndex((row) => row.classList.contains("here"));

  const move = (step) => {
    const all = rows();
    if (!all.length) return false;
    const now = here();
    const next = all[Math.min(all.length - 1, Math.max(0, now < 0 ? 0 : now + step))];
    all.forEach((row) => row.classList.toggle("here", row === next));
    const link = next.querySelector("a, button, summary");
    if (link) link.focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
    return true;
  };

  const press = (key) => {
    const target = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
    if (!target) return false;
    if (typing(target)) { target.focus(); target.select?.(); } else { target.click(); }
    return true;
  };

  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target instanceof HTMLTextAreaElement) {
      event.target.form?.querySelector("button")?.click();
      return;
    }
    if (event.key === "Escape" && typing(event.target)) { event.target.blur(); return; }
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || typing(event.target)) return;
    const help = document.getElementById("keys");
    if (event.key === "?" && help) { help.open ? help.close() : help.showModal(); event.preventDefault(); return; }
    if (help?.open) return;
    const done = press(event.key) || (event.key === "j" && move(1)) || (event.key === "k" && move(-1));
    if (done) event.preventDefault();
  });

  // A dialog's own button, a form that must not be sent twice.
  document.addEventListener("click", (event) => {
    const opener = event.target instanceof Element ? event.target.closest("[data-help]") : null;
    if (opener) document.getElementById("keys")?.showModal();
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "yes";
    setTimeout(() => delete form.dataset.sent, 4000);
  });
})();
