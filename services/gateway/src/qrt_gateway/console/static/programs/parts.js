// What several tabs of a program show.
import {Field, html} from "../ui.js";

/** Choose one of a program's versions. */
export function VersionChoice({program, number, onNumber}) {
  const newest = program.latest.number;
  const numbers = Array.from({length: Math.min(newest, 200)}, (_, index) => newest - index);
  if (!numbers.includes(number)) numbers.push(number);
  return html`<${Field} label="Version" as="select" class="narrow" value=${number} onChange=${(event) => onNumber(Number(event.target.value))}>
    ${numbers.map((each) => html`<option key=${each} value=${each}>${each}${each === newest ? " (newest)" : ""}</option>`)}<//>`;
}
