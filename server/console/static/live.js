// Puts the pieces that the server draws in their places.  What has not changed is not touched, so that focus,
// an open menu and a click under way stay where they are.
"use strict";

function fit(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || old.id !== fresh.id) {
    old.replaceWith(fresh);
    return;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  for (const { name } of [...old.attributes]) {
    // Whether a menu is open is the viewer's own affair.
    if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  fill(old, [...fresh.childNodes]);
}

function fill(place, children) {
  children.forEach((fresh, at) => {
    // What has an id is the same thing wherever it stands now.
    const known = fresh.id ? [...place.children].find((child) => child.id === fresh.id) : null;
    if (known && known !== place.childNodes[at]) place.insertBefore(known, place.childNodes[at] || null);
    const old = known || place.childNodes[at];
    if (!old) place.append(fresh);
    else if (!known && old.id) place.insertBefore(fresh, old);
    else fit(old, fresh);
  });
  while (place.childNodes.length > children.length) place.lastChild.remove();
}

const interrupted = document.getElementById("interrupted");

function listen() {
  const source = new EventSource(document.body.dataset.live);
  for (const name of ["totals", "rack", "campaigns", "log"]) {
    source.addEventListener(name, ({ data }) => {
      const piece = document.createElement("template");
      piece.innerHTML = data;
      fill(document.getElementById(`live-${name}`), [...piece.content.childNodes]);
    });
  }
  source.onopen = () => { interrupted.hidden = true; };
  source.onerror = () => {
    interrupted.hidden = false;
    // Refused for good, perhaps because the session has ended: the page knows, once there is a server again.
    if (source.readyState === EventSource.CLOSED) setTimeout(reload, 3000);
  };
}

function reload() {
  fetch("/", { cache: "no-store" }).then(() => location.reload(), () => setTimeout(reload, 3000));
}

listen();
