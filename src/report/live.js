// With `longshot report --serve`: when a run has written something, the page is loaded again and keeps what its reader
// has chosen. A reader in the middle of something is asked first.
{
  const choices = () => ({y: scrollY, smoothing: view.smoothing, xAxis: view.xAxis, hidden: data.runs.filter((_, r) => view.hidden.has(r)).map((run) => run.folder)});
  const restore = (kept) => {
    byId("smoothing").value = kept.smoothing;
    byId("smoothing").dispatchEvent(new Event("input"));
    if ([...byId("x-axis").options].some((o) => o.value === kept.xAxis)) byId("x-axis").value = kept.xAxis;
    byId("x-axis").dispatchEvent(new Event("change"));
    data.runs.forEach((run, r) => { if (kept.hidden.includes(run.folder)) document.querySelectorAll(".chip")[r].click(); });
    scrollTo(0, kept.y);
  };
  const state = element("output", {id: "live"}, "live");
  byId("controls").append(state);
  const kept = sessionStorage.getItem("longshot-report");
  if (kept) restore(JSON.parse(kept));
  const load = () => {
    sessionStorage.setItem("longshot-report", JSON.stringify(choices()));
    location.reload();
  };
  const busy = () => document.querySelector("td.detail") || [...document.querySelectorAll("input[type=search]")].some((input) => input.value);
  const events = new EventSource("events?version=" + data.version);
  events.onopen = () => { state.textContent = "live"; };
  events.onerror = () => { state.textContent = "the server has stopped"; };
  events.onmessage = () => {
    events.close();
    if (busy()) state.replaceChildren(element("button", {onclick: load}, "show what is new"));
    else load();
  };
}
