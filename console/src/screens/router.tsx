import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { all, rpc } from "../api";
import { useAsk } from "../ask";
import { drawn, share, usd, usdShort } from "../money";
import { Answer, Badge, Empty, Figure, Money, Problem, Sheet, say, why } from "../parts/basics";
import { Curve, type Point } from "../parts/chart";
import { Screen } from "../parts/shell";
import { Table } from "../parts/table";
import type { CurvePoint, Explained, Model, Proposal, RouterSummary, Who } from "../types";
import { big, count, ms, percent, word } from "../words";
import { TryPrompt } from "./prompt";

const VERDICTS: Record<string, string> = {
  ROUTING_VERDICT_UNKNOWN: "too few labels to tell",
  ROUTING_VERDICT_PAYS: "choosing by prompt pays",
  ROUTING_VERDICT_DOES_NOT_PAY: "choosing by prompt does not pay here",
};

export function Router({ who }: { who: Who }): JSX.Element {
  const summary = useAsk("summary", () => rpc<RouterSummary>("router/Summary"), 10);
  const models = useAsk("models", () => all<Model>("router/ListModels", "models"));
  return (
    <Screen title="Router" lead="The cheapest model that can do it, and how good that is on your own labels.">
      <Answer of={summary} rows={8}>
        {(told) => <Known told={told} admin={who.role === "admin"} again={summary.again} />}
      </Answer>
      <Sheet title="Where would a prompt go?" note="Nothing is called, spent or learned.">
        <TryPrompt
          button="Explain"
          models={(models.data ?? []).map((model) => model.model)}
          ask={(text, model) =>
            rpc<Explained>("router/Explain", {
              item: {
                model,
                text: text.slice(0, 16_000),
                // Near enough for a look: four letters a token.
                input_tokens: String(Math.max(1, Math.ceil(text.length / 4))),
              },
            })
          }
        >
          {(told) => <Choice told={told} />}
        </TryPrompt>
      </Sheet>
    </Screen>
  );
}

function Known(props: { told: RouterSummary; admin: boolean; again: () => void }): JSX.Element {
  const { told } = props;
  const spent = big(told.spent_nanos);
  const baseline = big(told.baseline_nanos);
  return (
    <>
      <dl class="figures">
        <Figure
          name={`Against every call to ${told.baseline_model || "a baseline"}`}
          value={baseline ? `−${share(baseline - spent, baseline)}` : "–"}
          more={
            baseline
              ? `${usd(spent)} in place of ${usd(baseline)}`
              : told.baseline_model
                ? "no routed call was reported yet"
                : "no baseline is configured"
          }
          tone={baseline ? "good" : ""}
        />
        <Figure
          name="Quality on labels"
          value={told.quality === undefined ? "–" : percent(told.quality)}
          more={
            told.quality === undefined
              ? "no outcome was reported yet"
              : `${percent(told.quality_low ?? 0)} to ${percent(told.quality_high ?? 1)}, ${count(told.labels)} labels`
          }
        />
        <Figure
          name="Bound that holds"
          value={`${told.quality_percent_min} %`}
          more={told.policy_version ? `proposal ${told.policy_version} was applied` : "of the reference’s quality, by default"}
        />
        <Figure name="Verdict" value={<span class="model">{told.verdict === "ROUTING_VERDICT_PAYS" ? "Pays" : "–"}</span>} more={VERDICTS[told.verdict] ?? ""} />
      </dl>
      <Proposals admin={props.admin} again={props.again} />
      <Sheet title="Quality against dollars">
        {told.curve.length ? (
          <Drawn told={told} />
        ) : (
          <Empty title="Too few labelled answers for a curve.">
            Say how answers turned out, and the router learns which prompts a cheaper model can take:{" "}
            <code>POST /v1/feedback</code>, <code>ReportOutcome</code>, or shadow calls in the fleet file (
            <code>routing: learning</code>).
          </Empty>
        )}
      </Sheet>
      {told.models.length > 0 && (
        <Sheet title="Models, as they answered">
          <Table
            label="Models"
            rows={told.models}
            key_={(row) => row.model}
            sort={["Calls", "descending"]}
            columns={[
              { name: "Model", class: "name", by: (row) => row.model, cell: (row) => row.model },
              { name: "Calls", number: true, by: (row) => Number(row.calls), cell: (row) => count(row.calls) },
              { name: "Median", number: true, by: (row) => Number(row.latency_ms), cell: (row) => (Number(row.latency_ms) ? ms(Number(row.latency_ms)) : "–") },
              { name: "Failed", number: true, by: (row) => row.error_share, cell: (row) => percent(row.error_share) },
              { name: "Turned away", number: true, by: (row) => row.rate_limited_share, cell: (row) => percent(row.rate_limited_share) },
              {
                name: "Quality", number: true,
                by: (row) => row.quality ?? -1,
                cell: (row) =>
                  row.quality === undefined ? "–" : `${percent(row.quality)} (${percent(row.quality_low ?? 0, 0)} to ${percent(row.quality_high ?? 1, 0)})`,
              },
              { name: "Labels", number: true, by: (row) => Number(row.labels), cell: (row) => count(row.labels) },
              { name: "Spent", money: (row) => big(row.spent_nanos) },
            ]}
          />
        </Sheet>
      )}
    </>
  );
}

const point = (told: CurvePoint, kind: Point["kind"]): Point => ({
  name: `${told.quality_percent_min} %`,
  x: drawn(big(told.cost_nanos)),
  y: told.quality,
  low: told.quality_low,
  high: told.quality_high,
  kind,
});

function Drawn({ told }: { told: RouterSummary }): JSX.Element {
  const points = told.curve.map((each) =>
    point(each, each.quality_percent_min === told.quality_percent_min ? "now" : "curve"),
  );
  if (told.curve_baseline) points.push(point(told.curve_baseline, "baseline"));
  return (
    <>
      <Curve label="Quality against dollars" points={points} formatX={usdShort} />
      <Table
        label="Quality against dollars"
        rows={told.curve}
        key_={(row) => String(row.quality_percent_min)}
        columns={[
          {
            name: "Bound",
            cell: (row) => (
              <>
                {row.quality_percent_min} %{" "}
                {row.quality_percent_min === told.quality_percent_min && <Badge kind="good">holds</Badge>}
              </>
            ),
          },
          { name: "Quality", number: true, cell: (row) => percent(row.quality) },
          { name: "Interval", number: true, cell: (row) => `${percent(row.quality_low)} to ${percent(row.quality_high)}` },
          { name: "A call", money: (row) => big(row.cost_nanos) },
        ]}
      />
      <p class="note">Estimated on {count(told.curve_prompts)} labelled prompts of yours.</p>
    </>
  );
}

function Proposals({ admin, again }: { admin: boolean; again: () => void }): JSX.Element | null {
  const asked = useAsk("proposals", () => rpc<{ proposals: Proposal[] }>("router/ListProposals"));
  const [problem, setProblem] = useState("");
  const proposal = asked.data?.proposals[0];
  if (!proposal?.expected || !proposal.present) return null;
  const apply = async () => {
    try {
      await rpc("router/ApplyProposal", { proposal_id: proposal.proposal_id });
      say("The bound holds from now on, wherever the policy is target.");
      asked.again();
      again();
    } catch (error) {
      setProblem(why(error));
    }
  };
  return (
    <Sheet
      title={`A bound of ${proposal.expected.quality_percent_min} % would serve better`}
      actions={
        admin && (
          <button type="button" class="primary" onClick={apply}>
            Apply
          </button>
        )
      }
    >
      {problem && <Problem text={problem} />}
      <p>
        Expected: {usd(big(proposal.expected.cost_nanos))} a call at {percent(proposal.expected.quality)} quality, in place of{" "}
        {usd(big(proposal.present.cost_nanos))} at {percent(proposal.present.quality)}. From {count(proposal.prompts)} labelled prompts.
      </p>
    </Sheet>
  );
}

function Choice({ told }: { told: Explained }): JSX.Element {
  const decision = told.decision;
  return (
    <div class="explained note">
      <p>
        <b>{decision?.chosen?.model}</b>: {decision?.explanation}
        {told.baseline_cost_nanos && decision?.chosen?.expected_cost_nanos && (
          <>
            {" "}
            Expected {usd(big(decision.chosen.expected_cost_nanos))}, against {usd(big(told.baseline_cost_nanos))} by {decision.baseline_model}.
          </>
        )}
      </p>
      <Table
        label="Models that can answer"
        rows={told.prospects}
        key_={(row) => row.candidate?.model ?? ""}
        columns={[
          {
            name: "Model", class: "name",
            cell: (row) => (
              <>
                {row.candidate?.model} {row.candidate?.model === decision?.chosen?.model && <Badge kind="good">chosen</Badge>}
              </>
            ),
          },
          { name: "Expected cost", number: true, cell: (row) => (row.candidate?.expected_cost_nanos ? <Money nanos={big(row.candidate.expected_cost_nanos)} /> : "–") },
          { name: "At the very most", number: true, cell: (row) => (row.candidate?.worst_case_nanos ? <Money nanos={big(row.candidate.worst_case_nanos)} /> : "–") },
          { name: "Quality", number: true, cell: (row) => (row.quality === undefined ? "not predicted" : percent(row.quality)) },
          { name: "Nine times in ten at least", number: true, cell: (row) => (row.quality_low === undefined ? "–" : percent(row.quality_low)) },
          { name: "Of your own labels", number: true, cell: (row) => percent(row.own_share, 0) },
        ]}
      />
      {decision && decision.exclusions.length > 0 && (
        <details>
          <summary>{count(decision.exclusions.length)} models were left out</summary>
          <dl class="pairs">
            {decision.exclusions.map((each) => (
              <>
                <dt>{each.model}</dt>
                <dd>{each.detail || word(each.reason, "EXCLUSION_REASON_")}</dd>
              </>
            ))}
          </dl>
        </details>
      )}
      <p class="soft">
        Policy {told.policy || "by price"}; need of a strong model {told.need.toFixed(2)}; {count(told.labels)} labels of yours.
      </p>
    </div>
  );
}
