// What the pages need beyond plain links and forms. Everything works without it, only less comfortably.
"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const first = (selector, root = document) => root.querySelector(selector);
  const csrf = () => first("meta[name=csrf-token]")?.content ?? "";

  // Forms that htmx sends carry the session's token.
  document.addEventListener("htmx:configRequest", (event) => {
    event.detail.headers["X-CSRF-Token"] = csrf();
  });

  // Live: one stream per tab while it can be seen. It names what changed; the page asks for the rest itself.
  const topics = () => {
    const wanted = new Set(["issues", "incidents"]);
    for (const part of all("[data-live]")) part.dataset.live.split(" ").forEach((topic) => wanted.add(topic));
    return [...wanted].sort().join(",");
  };
  // All of it at once, after a time in which nothing was heard.
  const catchUp = () => {
    for (const topic of topics().split(",")) document.body.dispatchEvent(new CustomEvent(`live:${topic}`));
  };
  const toSignIn = () => location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
  // A stream does not say why it was refused.
  const leaveIfSignedOut = async () => {
    const answer = await fetch("/nav", { headers: { "HX-Request": "true" } }).catch(() => null);
    if (answer?.status === 401) toSignIn();
  };
  let stream = null;
  let hasListened = false;
  let again = 0;
  const open = () => {
    if (stream || document.hidden || !first("#nav")) return;
    stream = new EventSource(`/live?topics=${topics()}`);
    for (const topic of topics().split(",")) {
      stream.addEventListener(topic, () => document.body.dispatchEvent(new CustomEvent(`live:${topic}`)));
    }
    stream.onopen = () => {
      if (hasListened) catchUp();
      hasListened = true;
    };
    stream.onerror = () => {
      if (stream?.readyState !== EventSource.CLOSED) return;
      close();
      leaveIfSignedOut();
      clearTimeout(again);
      again = setTimeout(open, 30_000);
    };
  };
  const close = () => {
    stream?.close();
    stream = null;
  };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) close();
    else open();
  });
  addEventListener("pagehide", close);
  addEventListener("pageshow", open);

  // A part that loads itself again waits while somebody is busy in it, and leaves open what was opened.
  const TYPING = "input:not([type=checkbox]):not([type=radio]), textarea, select";
  const isBusy = (part) => first("details[open] form", part) !== null
    || (part.contains(document.activeElement) && document.activeElement.matches(TYPING));
  const loadsItself = ({ requestConfig, target }) => requestConfig.verb === "get" && requestConfig.elt === target;
  let isHeld = false;
  const hold = (event) => {
    if (!loadsItself(event.detail) || !isBusy(event.detail.target)) return false;
    isHeld = true;
    return true;
  };
  document.body.addEventListener("htmx:beforeRequest", (event) => {
    if (hold(event)) event.preventDefault();
  });
  let opened = [];
  document.body.addEventListener("htmx:beforeSwap", (event) => {
    if (hold(event)) event.detail.shouldSwap = false;
    opened = all("details[open][id]", event.detail.target).map((part) => part.id);
  });
  document.body.addEventListener("htmx:afterSwap", () => {
    for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
  });
  const release = () => {
    if (!isHeld || all("[data-live]").some(isBusy)) return;
    isHeld = false;
    catchUp();
  };
  document.addEventListener("toggle", release, true);
  // The focus is elsewhere only after this event.
  document.addEventListener("focusout", () => setTimeout(release));

  // Theme: as the system, light, dark.
  const themes = ["auto", "light", "dark"];
  const theme = () => document.documentElement.dataset.theme ?? "auto";
  const nameTheme = () => all("[data-theme-name]").forEach((part) => { part.textContent = theme(); });
  const nextTheme = () => {
    const next = themes[(themes.indexOf(theme()) + 1) % themes.length];
    if (next === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    try { localStorage.setItem("theme", next); } catch { /* forbidden: it holds for this page */ }
    nameTheme();
  };

  // Messages, with a way back where there is one.
  const SHOWN_MS = 8000;
  const toast = (text, undo) => {
    const box = document.createElement("div");
    box.className = "toast";
    box.append(Object.assign(document.createElement("span"), { textContent: text }));
    if (undo) {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: "Undo" });
      button.addEventListener("click", async () => {
        box.remove();
        const body = new URLSearchParams(undo.fields);
        const answer = await fetch(undo.url, { method: "POST", body, headers: { "X-CSRF-Token": csrf(), "HX-Request": "true" } });
        if (!answer.ok) return toast("That could not be undone. Load the page again.");
        toast("Undone.");
        document.body.dispatchEvent(new CustomEvent(undo.live ?? "live:issues"));
      });
      box.append(button);
    }
    first("#toasts")?.append(box);
    setTimeout(() => box.remove(), SHOWN_MS);
  };
  document.body.addEventListener("toast", (event) => toast(event.detail.text, event.detail.undo));
  document.body.addEventListener("htmx:responseError", (event) => {
    if (event.detail.xhr.status === 401) toSignIn();
    else if (event.detail.requestConfig.verb !== "get") toast("That did not work. Load the page again.");
  });

  // A form is sent once. Its button keeps its value for this one; whoever comes back finds it as it was.
  const buttons = (form) => [...form.elements].filter((part) => part.matches("button:not([type=button])"));
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post" || form.hasAttribute("hx-post")) return;
    if (form.dataset.sent) return event.preventDefault();
    form.dataset.sent = "yes";
    setTimeout(() => buttons(form).forEach((button) => { button.disabled = true; }));
  });
  addEventListener("pageshow", () => {
    for (const form of all("form[data-sent]")) {
      delete form.dataset.sent;
      buttons(form).forEach((button) => { button.disabled = false; });
    }
  });

  // Lists: a line is marked, lines are selected. Both survive a refresh of the list.
  let marked = null;
  const selected = new Set();
  const rows = () => all("[data-row]");
  const mark = (row) => {
    rows().forEach((other) => other.classList.toggle("here", other === row));
    marked = row?.dataset.row ?? null;
    row?.scrollIntoView({ block: "nearest" });
  };
  const showSelected = () => {
    const boxes = all("[data-row] input[type=checkbox]");
    for (const box of boxes) box.checked = selected.has(box.value);
    const known = boxes.filter((box) => box.checked).length;
    all("[data-bulk]").forEach((bar) => { bar.hidden = known === 0; });
    all("[data-selected]").forEach((part) => { part.textContent = `${known} selected`; });
    const every = first("[data-select-all]");
    if (every) {
      every.checked = known > 0 && known === boxes.length;
      every.indeterminate = known > 0 && known < boxes.length;
    }
  };
  const move = (step) => {
    const list = rows();
    if (!list.length) return;
    const at = list.findIndex((row) => row.dataset.row === marked);
    mark(list[Math.min(Math.max(at < 0 ? (step > 0 ? 0 : list.length - 1) : at + step, 0), list.length - 1)]);
  };
  document.addEventListener("change", (event) => {
    const box = event.target;
    if (box.matches?.("[data-select-all]")) {
      for (const other of all("[data-row] input[type=checkbox]")) box.checked ? selected.add(other.value) : selected.delete(other.value);
      showSelected();
    } else if (box.matches?.("[data-row] input[type=checkbox]")) {
      box.checked ? selected.add(box.value) : selected.delete(box.value);
      showSelected();
    } else if (box.matches?.("select[data-submit]")) {
      box.form.requestSubmit();
    }
  });
  const settle = () => {
    const present = new Set(rows().map((row) => row.dataset.row));
    for (const id of selected) if (!present.has(id)) selected.delete(id);
    rows().forEach((row) => row.classList.toggle("here", row.dataset.row === marked));
    showSelected();
    nameTheme();
    ages();
  };
  document.body.addEventListener("htmx:afterSettle", settle);

  // Ages keep counting.
  const ago = (seconds) => {
    if (seconds < 60) return "just now";
    for (const [unit, length, end] of [["min", 60, 5400], ["h", 3600, 129600], ["d", 86400, Infinity]]) {
      if (seconds < end) return `${Math.round(seconds / length)} ${unit} ago`;
    }
  };
  const ages = () => all("time[data-ago]").forEach((part) => {
    part.textContent = ago((Date.now() - Date.parse(part.dateTime)) / 1000);
  });
  setInterval(() => { if (!document.hidden) ages(); }, 30_000);

  // What is due counts down.
  const due = (seconds) => {
    if (seconds <= 0) return "now";
    if (seconds < 120) return `in ${Math.floor(seconds)} s`;
    return seconds < 7200 ? `in ${Math.floor(seconds / 60)} min` : `in ${Math.floor(seconds / 3600)} h`;
  };
  setInterval(() => {
    if (document.hidden) return;
    for (const part of all("time[data-until]")) part.textContent = due((Date.parse(part.dateTime) - Date.now()) / 1000);
  }, 1000);

  // A list of probes asks for the lines that changed, and puts each where it stands: nothing moves under the pointer.
  let asksRows = false;
  const freshRows = async () => {
    const list = first("[data-rows]");
    const shown = all("[data-shown]").map((row) => row.dataset.shown);
    if (!list || !shown.length || asksRows || document.hidden) return;
    asksRows = true;
    try {
      const joint = list.dataset.rows.includes("?") ? "&" : "?";
      const answer = await fetch(`${list.dataset.rows}${joint}shown=${shown.join(",")}`, { headers: { "HX-Request": "true" } });
      if (answer.status === 401) return toSignIn();
      if (!answer.ok) return;
      const parts = document.createElement("template");
      parts.innerHTML = await answer.text();
      const focused = document.activeElement?.id;
      for (const row of all("tr[id]", parts.content)) document.getElementById(row.id)?.replaceWith(row);
      const tabs = first("#tabs");
      const fresh = first("[data-tabs]", parts.content);
      if (tabs && fresh && !tabs.contains(document.activeElement)) tabs.replaceChildren(...fresh.childNodes);
      if (focused && document.activeElement?.id !== focused) document.getElementById(focused)?.focus();
      settle();
    } catch { /* the next change asks again */ } finally {
      asksRows = false;
    }
  };
  const TICK_MS = 10_000;
  document.body.addEventListener("live:probe_states", freshRows);
  setInterval(() => {
    if (document.hidden) return;
    freshRows();
    document.body.dispatchEvent(new CustomEvent("live:tick"));
  }, TICK_MS);

  // Cards are found by what stands on them.
  document.addEventListener("input", (event) => {
    const wanted = event.target.dataset?.find;
    if (!wanted) return;
    const words = event.target.value.toLowerCase().split(/\s+/);
    let found = 0;
    for (const card of all(wanted)) {
      card.hidden = !words.every((word) => card.textContent.toLowerCase().includes(word));
      if (!card.hidden) found += 1;
    }
    all("[data-found-none]").forEach((part) => { part.hidden = found > 0; });
  });
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("[data-find-form]")) return;
    event.preventDefault();
    first("[data-card]:not([hidden])[href]")?.click();
  });

  // One more line of a form that has several of a kind.
  all("[data-add-line]").forEach((button) => { button.hidden = false; });

  // Copying, menus, the list of keys.
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("button");
    const openAsk = first("details.ask[open]");
    if (openAsk && !openAsk.contains(event.target)) openAsk.open = false;
    if (!button) return;
    if (button.matches("[data-theme-toggle]")) nextTheme();
    if (button.matches("[data-keys]")) first("#keys")?.showModal();
    if (button.matches("[data-menu]")) {
      const isOpen = first("#places").classList.toggle("open");
      button.setAttribute("aria-expanded", String(isOpen));
    }
    if (button.matches("[data-add-line]")) {
      const lines = first("[data-lines]");
      const line = lines.lastElementChild.cloneNode(true);
      const input = first("input", line);
      input.value = "";
      input.setAttribute("aria-label", `Condition ${lines.children.length + 1}`);
      first(".said-of", line).replaceChildren();
      lines.append(line);
      window.htmx?.process(line);
      input.focus();
    }
    if (button.matches("[data-copy]")) {
      const text = first(button.dataset.copy)?.textContent ?? "";
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(first(button.dataset.copy));
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    }
  });

  // Keys. Never while somebody types.
  let going = false;
  const press = {
    "/": () => first("input[type=search]")?.focus(),
    "?": () => first("#keys")?.showModal(),
    j: () => (rows().length ? move(1) : first("[data-key=j]")?.click()),
    k: () => (rows().length ? move(-1) : first("[data-key=k]")?.click()),
    x: () => {
      const box = first(`[data-row="${marked}"] input[type=checkbox]`);
      if (box) box.click();
    },
    e: () => {
      if (rows().length && !selected.size && marked) selected.add(marked);
      showSelected();
      if (rows().length && !selected.size) return;
      first("[data-key=e]")?.click();
    },
    Enter: () => first(`[data-row="${marked}"] a`)?.click(),
    g: () => { going = true; setTimeout(() => { going = false; }, 1000); },
  };
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && event.target.matches?.("input[type=search]")) return event.target.blur();
    if (event.ctrlKey || event.metaKey || event.altKey || first("dialog[open]")) return;
    if (event.target.matches?.(TYPING)) return;
    if (event.key === "Enter" && event.target.matches?.("a, button, summary, input")) return;
    if (going) {
      going = false;
      const place = { h: "", i: "incidents", s: "issues", b: "probes", p: "projects", o: "outbox", u: "people", t: "tokens", a: "audit" }[event.key];
      // Only where the navigation leads, too: not everybody may go everywhere.
      const entry = place !== undefined && first(`#places a[href="/${place}"]`);
      if (entry) return location.assign(entry.href);
    }
    const act = press[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });

  // A new form begins in the zone of whoever fills it in. Only once all is loaded somebody listens.
  addEventListener("load", () => {
    for (const part of all("input[data-own-zone]")) {
      part.value = Intl.DateTimeFormat().resolvedOptions().timeZone || part.value;
      part.dispatchEvent(new Event("input", { bubbles: true }));
    }
  });

  settle();
  open();
})();
