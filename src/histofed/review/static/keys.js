// Keys work anywhere on the page, except while typing or while a dialog is open.

const TYPING = 'input[type="search"], input[type="text"], textarea';

export function listen(actions) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.target.closest?.(TYPING) || document.querySelector("dialog[open]")) return;
    if (event.target.closest?.("select") && event.key.length > 1) return; // its arrows and Enter
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}
