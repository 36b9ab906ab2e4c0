/** The plain C program beside which collectives are timed, and what both programs print. */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

/** Bytes of each rank's data. */
export const SIZES = [1024, 16384, 65536, 262144, 1048576, 4194304] as const;
export const NAMES = ["allReduce", "allToAll", "allGather", "broadcast"] as const;
export type Name = (typeof NAMES)[number];

/** The number of samples of one size, fewer for large ones. A sample is the mean of REPEATS calls one behind the other, after a barrier. */
export const callsOf = (bytes: number): number => Math.max(12, Math.min(200, Math.round(2 ** 23 / bytes)));
export const REPEATS = 10;

/** Seconds of a call in the fastest and in the median sample, by collective and size. */
export type Timing = Record<string, { readonly best: number; readonly median: number }>;

export const timingKey = (name: string, bytes: number): string => `${name} ${bytes}`;

/** The least and the median. */
export function summarised(seconds: readonly number[]): { best: number; median: number } {
  const sorted = seconds.toSorted((a, b) => a - b);
  return { best: sorted[0], median: sorted[sorted.length >> 1] };
}

const SOURCE = `#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b) { double x = *(const double *)a, y = *(const double *)b; return (x > y) - (x < y); }

int main(int argc, char **argv) {
  int rank, n;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &n);
  const char *names[] = {"allReduce", "allToAll", "allGather", "broadcast"};
  for (int at = 1; at + 1 < argc; at += 2) {
    int bytes = atoi(argv[at]), calls = atoi(argv[at + 1]), length = bytes / 4;
    float *data = calloc(length, 4), *into = calloc((size_t)length * n, 4);
    for (int i = 0; i < length; i++) data[i] = 1; /* memory that nobody wrote is one page of zeros */
    int *counts = malloc(n * sizeof(int)), *starts = malloc(n * sizeof(int));
    for (int r = 0; r < n; r++) { counts[r] = length / n; starts[r] = r * (length / n); }
    double *seconds = malloc(calls * sizeof(double));
    for (int which = 0; which < 4; which++) {
      for (int call = -20; call < calls; call++) {
        MPI_Barrier(MPI_COMM_WORLD);
        double start = MPI_Wtime();
        for (int repeat = 0; repeat < ${REPEATS}; repeat++) {
        if (which == 0) MPI_Allreduce(MPI_IN_PLACE, data, length, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
        if (which == 1) MPI_Alltoallv(data, counts, starts, MPI_FLOAT, into, counts, starts, MPI_FLOAT, MPI_COMM_WORLD);
        if (which == 2) MPI_Allgather(data, length, MPI_FLOAT, into, length, MPI_FLOAT, MPI_COMM_WORLD);
        if (which == 3) MPI_Bcast(data, length, MPI_FLOAT, 0, MPI_COMM_WORLD);
        }
        if (call >= 0) seconds[call] = (MPI_Wtime() - start) / ${REPEATS};
      }
      qsort(seconds, calls, sizeof(double), compare);
      if (rank == 0) printf("%s %d %.9f %.9f\\n", names[which], bytes, seconds[0], seconds[calls / 2]);
    }
    free(data); free(into); free(counts); free(starts); free(seconds);
  }
  MPI_Finalize();
  return 0;
}
`;

/** Compiles the C program into a folder; answers with its path. */
export function compiled(folder: string, mpicc: string): string {
  const [source, program] = [join(folder, "collectives.c"), join(folder, "collectives")];
  writeFileSync(source, SOURCE);
  const { status, stderr, error } = spawnSync(mpicc, ["-O2", "-o", program, source], { encoding: "utf8" });
  if (error || status !== 0) throw new Error(`${mpicc}: ${error?.message ?? stderr}; Debian: apt-get install libopenmpi-dev gcc`);
  return program;
}

/** The lines "name bytes best median" of either program. */
export function parsedTiming(text: string): Timing {
  const rows = text.split("\n").flatMap((line) => {
    const [, name, bytes, best, median] = /^(\w+) (\d+) ([\d.]+) ([\d.]+)$/.exec(line) ?? [];
    return name === undefined ? [] : [[timingKey(name, Number(bytes)), { best: Number(best), median: Number(median) }] as const];
  });
  return Object.fromEntries(rows);
}
