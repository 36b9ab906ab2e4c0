/**
 * The files to copy of docs/distributed.md, as far as they can be held to something without a cluster: names of fields are those of the Go types of
 * the MPI Operator (pkg/apis/kubeflow/v2beta1/types.go) and of Kubernetes' containers, and the parts fit each other.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { expect } from "chai";

const text = readFileSync("docs/distributed.md", "utf8");
const block = (language: string): string =>
  new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``).exec(text)?.[1] ?? expect.fail(`no block of ${language}`);

interface Replica {
  replicas: number;
  template: {
    spec: { containers: { name: string; image: string; command?: string[]; resources?: { limits: Record<string, unknown> } }[] };
  };
}
interface Job {
  apiVersion: string;
  kind: string;
  spec: { slotsPerWorker: number; runPolicy: { cleanPodPolicy: string }; mpiReplicaSpecs: Record<"Launcher" | "Worker", Replica> };
}

// mocha reads its own configuration with it
const { load } = createRequire(createRequire(import.meta.url).resolve("mocha"))("js-yaml") as { load(text: string): unknown };
const job = load(block("yaml")) as Job;

describe("files to copy for clusters", () => {
  it("name fields that an MPIJob has", () => {
    const fields = {
      spec: ["slotsPerWorker", "runPolicy", "mpiReplicaSpecs", "sshAuthMountPath", "launcherCreationPolicy", "mpiImplementation"],
      runPolicy: ["cleanPodPolicy", "ttlSecondsAfterFinished", "activeDeadlineSeconds", "backoffLimit", "schedulingPolicy", "suspend"],
      replica: ["replicas", "template", "restartPolicy"],
      container: ["name", "image", "command", "args", "env", "resources", "securityContext", "volumeMounts", "workingDir"],
    };
    expect([job.apiVersion, job.kind]).to.deep.equal(["kubeflow.org/v2beta1", "MPIJob"]);
    expect(fields.spec).to.include.members(Object.keys(job.spec));
    expect(fields.runPolicy).to.include.members(Object.keys(job.spec.runPolicy));
    expect(["None", "Running", "All"]).to.include(job.spec.runPolicy.cleanPodPolicy);
    const { mpiReplicaSpecs: replicas } = job.spec;
    expect(Object.keys(replicas)).to.have.members(["Launcher", "Worker"]);
    for (const replica of Object.values(replicas)) {
      expect(fields.replica).to.include.members(Object.keys(replica));
      for (const container of replica.template.spec.containers) expect(fields.container).to.include.members(Object.keys(container));
    }
  });

  it("start as many ranks as there are slots, with a core for each, as root", () => {
    const { slotsPerWorker, mpiReplicaSpecs } = job.spec;
    const { Launcher, Worker } = mpiReplicaSpecs;
    const [{ command = [], image }] = Launcher.template.spec.containers;
    const [worker] = Worker.template.spec.containers;
    expect(command[command.indexOf("-n") + 1]).to.equal(String(slotsPerWorker * Worker.replicas));
    expect(command).to.include("--allow-run-as-root"); // keys are mounted for root, unless sshAuthMountPath says otherwise
    expect(Launcher.replicas).to.equal(1);
    expect(worker).to.include({ image });
    expect(worker.command, "the operator starts sshd").to.equal(undefined);
    expect(worker.resources?.limits["cpu"]).to.equal(slotsPerWorker);
  });

  it("are of an image that has mpirun, sshd, ssh and koffi", () => {
    for (const part of [
      "openmpi-bin",
      "openssh-server",
      "openssh-client",
      "koffi",
      "/run/sshd",
      "StrictHostKeyChecking no",
      "StrictModes no",
    ])
      expect(block("dockerfile")).to.include(part);
  });

  it("are right for a shell, where they are its scripts", () => {
    const scripts = [...text.matchAll(/```sh\n([^]*?)```/g)].map(([, script]) => script);
    expect(scripts.length).to.be.above(2);
    for (const script of scripts) expect(spawnSync("bash", ["-n"], { input: script, encoding: "utf8" }), script).to.include({ status: 0 });
  });
});
