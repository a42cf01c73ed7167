// Copyright 2026 The videollm_ros authors
// SPDX-License-Identifier: Apache-2.0
// What the assistant said, each with the frame that made it speak.

const MOST = 100;

export const clock = (stamp) =>
  stamp > 1e9 ? new Date(1000 * stamp).toLocaleTimeString([], { hour12: false }) : `${stamp.toFixed(1)} s`;

const delay = (seconds) => (Math.abs(seconds) < 1 ? `${Math.round(1000 * seconds)} ms` : `${seconds.toFixed(1)} s`);

export class Feed {
  #items = new Map(); // key -> element

  constructor(list, empty, dialog) {
    this.list = list;
    this.empty = empty;
    this.dialog = dialog;
    this.assistant = "";
  }

  load(assistant, utterances) {
    this.assistant = assistant;
    this.list.replaceChildren();
    this.#items.clear();
    this.empty.hidden = false;
    for (const each of utterances) this.show(each);
  }

  show(utterance) {
    const atEnd = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 60;
    let item = this.#items.get(utterance.key);
    if (!item) {
      item = this.#create();
      this.#items.set(utterance.key, item);
      this.list.append(item);
      this.empty.hidden = true;
      if (this.#items.size > MOST) {
        const [oldest, element] = this.#items.entries().next().value;
        this.#items.delete(oldest);
        element.remove();
      }
    }
    this.#fill(item, utterance);
    if (atEnd) this.list.scrollTop = this.list.scrollHeight;
  }

  // What was being said when the assistant went away.
  cutOff() {
    for (const item of this.#items.values()) item.classList.remove("grows");
  }

  #create() {
    const item = document.createElement("li");
    item.className = "utterance";
    const button = document.createElement("button");
    button.type = "button";
    button.disabled = true;
    button.ariaLabel = "Show the frame";
    const words = document.createElement("div");
    for (const name of ["query", "text", "meta"]) {
      const paragraph = document.createElement("p");
      paragraph.className = name;
      words.append(paragraph);
    }
    item.append(button, words);
    return item;
  }

  #fill(item, utterance) {
    const [query, text, meta] = item.lastChild.children;
    item.classList.toggle("grows", !utterance.final);
    item.classList.toggle("held", utterance.held_back);
    item.classList.toggle("answer", utterance.answer);
    query.textContent = utterance.query;
    query.hidden = !utterance.query;
    text.textContent = utterance.text || (utterance.held_back ? "wanted to speak" : "");
    const parts = utterance.stamp
      ? [clock(utterance.stamp), `${delay(utterance.latency)} after the frame`, `p ${utterance.probability.toFixed(2)}`]
      : ["no image yet"];
    if (utterance.held_back) parts.push(`held back${utterance.reason ? `: ${utterance.reason}` : ""}`);
    if (utterance.cut_off) parts.push("cut off");
    meta.replaceChildren(...parts.map((part) => Object.assign(document.createElement("span"), { textContent: part })));
    this.#picture(item.firstChild, utterance);
  }

  #picture(button, utterance) {
    if (!utterance.frame || button.dataset.frame === utterance.frame) return;
    button.dataset.frame = utterance.frame;
    button.disabled = false;
    const address = `/frame?${new URLSearchParams({ assistant: this.assistant, stamp: utterance.frame })}`;
    const image = Object.assign(document.createElement("img"), { src: address, alt: "" });
    button.replaceChildren(image);
    button.onclick = () => {
      const offset = utterance.frame_offset;
      const near = offset ? ` This is the nearest frame kept, ${delay(Math.abs(offset))} ${offset > 0 ? "later" : "earlier"}.` : "";
      this.dialog.querySelector("img").src = address;
      this.dialog.querySelector("p").textContent = `${clock(utterance.stamp)}  ${button.nextSibling.children[1].textContent}${near}`;
      this.dialog.showModal();
    };
  }
}
