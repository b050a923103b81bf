// Sign in: the token is exchanged for a cookie that scripts cannot read, and forgotten.
import {signIn} from "./api.js";
import {Button, Field, html} from "./ui.js";
import {useEffect, useState} from "./lib/view.js";

export function SignIn() {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  useEffect(() => { document.title = "Sign in · Quantum runtime"; }, []);
  const submit = async (event) => {
    event.preventDefault();
    const form = event.target;
    setBusy(true);
    setProblem(null);
    try {
      await signIn(form.elements.token.value.trim());
    } catch (error) {
      setProblem(error);
      setBusy(false);
    }
  };
  return html`<main class="alone" id="main"><form class="card sign-in" onSubmit=${submit}>
    <h1><span class="mark" aria-hidden="true"></span>Quantum runtime</h1>
    <p>Sign in with one of your tokens.</p>
    <${Field} label="Token" name="token" type="password" required autocomplete="current-password" autofocus spellcheck="false"
      error=${problem?.message ?? ""} hint="The command that started the runtime shows the first one." />
    <${Button} kind="primary" type="submit" busy=${busy}>Sign in<//>
  </form></main>`;
}
