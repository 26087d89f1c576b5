"use strict";
// Filters and folding: comforts. The page says everything without them.
(() => {
  const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];
  all(".needs-script").forEach((part) => { part.hidden = false; });

  const filterKeys = (tree) => {
    const wanted = tree.querySelector(".find-key").value.trim().toLowerCase();
    let shown = 0;
    all(".key", tree).forEach((key) => {
      key.hidden = !key.dataset.find.toLowerCase().includes(wanted);
      if (!key.hidden) shown += 1;
    });
    all("details.table", tree).forEach((table) => {
      table.hidden = !table.querySelector(".key:not([hidden])");
      if (wanted) table.open = true;
    });
    tree.querySelector(".no-match").hidden = shown > 0;
  };
  all(".tree").forEach((tree) => {
    tree.querySelector(".find-key").addEventListener("input", () => filterKeys(tree));
    const fold = tree.querySelector(".fold");
    fold.addEventListener("click", () => {
      const open = fold.dataset.folded === "yes";
      all("details.table", tree).forEach((table) => { table.open = open; });
      fold.dataset.folded = open ? "" : "yes";
      fold.textContent = open ? "Fold all" : "Unfold all";
    });
  });

  const find = document.getElementById("find-node");
  const odd = document.getElementById("only-odd");
  if (find) {
    const filterNodes = () => {
      const wanted = find.value.trim().toLowerCase();
      let shown = 0;
      all("details.node").forEach((node) => {
        const fits = node.dataset.find.toLowerCase().includes(wanted);
        node.hidden = !fits || (odd.checked && !("odd" in node.dataset));
        if (!node.hidden) shown += 1;
      });
      document.querySelector("#nodes").parentElement.querySelector(":scope > .no-match").hidden = shown > 0;
    };
    find.addEventListener("input", filterNodes);
    odd.addEventListener("change", filterNodes);
  }

  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let part = target; part; part = part.parentElement) {
      if (part.tagName === "DETAILS") { part.open = true; part.hidden = false; }
    }
    if (target) target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  if (location.hash) reveal();

  let opened = [];
  addEventListener("beforeprint", () => {
    opened = all("details:not([open]):not(.node)");
    opened.forEach((part) => { part.open = true; });
  });
  addEventListener("afterprint", () => { opened.forEach((part) => { part.open = false; }); });
})();
