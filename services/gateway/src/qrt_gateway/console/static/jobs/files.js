// What a job left in its output directory.
import {Empty, Table, html} from "../ui.js";
import {bytes} from "../lib/format.js";
import {visible} from "./ansi.js";

const address = (id, name) => `/v1/jobs/${id}/files/${name.split("/").map(encodeURIComponent).join("/")}`;

export function Files({view, ended}) {
  const {files, skipped_files: skipped} = view;
  const columns = [
    {key: "name", label: "File", render: (file) => html`<a href=${address(view.id, file.name)}
      download=${file.name.split("/").at(-1)}><bdi>${visible(file.name)}</bdi></a>`},
    {key: "size", label: "Size", align: "number", render: (file) => bytes(file.size)},
    {key: "sha256", label: "SHA-256", render: (file) => html`<code title=${file.sha256}>${file.sha256.slice(0, 16)}…</code>`},
  ];
  return html`
    <${Table} caption="Output files" columns=${columns} rows=${files} rowKey=${(file) => file.name} empty=${html`
      <${Empty} title=${ended ? "The job left no files." : "Files are kept when the job ends."} />`} />
    ${skipped.length > 0 && html`<h2>Not kept</h2>
      <${Table} caption="Files that were not kept" rowKey=${(file) => file.name} rows=${skipped} columns=${[
        {key: "name", label: "File", render: (file) => html`<bdi>${visible(file.name)}</bdi>`},
        {key: "reason", label: "Reason", render: (file) => visible(file.reason)},
      ]} />`}`;
}
