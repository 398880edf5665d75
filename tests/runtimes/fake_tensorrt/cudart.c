/* A CUDA runtime whose device memory is the host's: enough for edgekd's runtimes/tensorrt/_cuda.py.
 * Environment: FAKE_CUDA_MEMORY (bytes of the device), FAKE_CUDA_FAILS (the name of a function that fails),
 * FAKE_CUDA_CAPABILITY (such as 8.7). */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FAILS(name) do { const char *f = getenv("FAKE_CUDA_FAILS"); if (f && !strcmp(f, #name)) return 700; } while (0)

static size_t allocated;

size_t fake_cuda_allocated(void) { return allocated; }

const char *cudaGetErrorString(int code) {
  return code == 2 ? "out of memory" : code == 700 ? "an illegal memory access was encountered" : "unknown error";
}
int cudaDeviceGetAttribute(int *value, int attribute, int device) {
  const char *capability = getenv("FAKE_CUDA_CAPABILITY");
  if (device != 0 || (attribute != 75 && attribute != 76)) return 1;
  if (!capability) capability = "8.7";
  *value = atoi(attribute == 75 ? capability : strchr(capability, '.') + 1);
  return 0;
}
static unsigned device_flags;
unsigned fake_cuda_flags(void) { return device_flags; }
int cudaSetDeviceFlags(unsigned flags) {
  FAILS(cudaSetDeviceFlags);
  device_flags = flags;
  return flags == 1 || flags == 4 ? 0 : 1;
}
int cudaMalloc(void **made, size_t size) {
  const char *limit = getenv("FAKE_CUDA_MEMORY");
  FAILS(cudaMalloc);
  if (limit && allocated + size > strtoull(limit, 0, 10)) return 2;
  size_t *block = malloc(size + 64);
  *block = size;
  allocated += size;
  *made = (char *)block + 64;
  return 0;
}
int cudaFree(void *memory) {
  if (!memory) return 0;
  size_t *block = (size_t *)((char *)memory - 64);
  allocated -= *block;
  free(block);
  return 0;
}
int cudaMemcpyAsync(void *to, const void *from, size_t size, int kind, void *stream) {
  FAILS(cudaMemcpyAsync);
  if (!stream || (kind != 1 && kind != 2)) return 1;
  memcpy(to, from, size);
  return 0;
}
int cudaStreamCreateWithFlags(void **made, unsigned flags) { *made = malloc(1); return flags == 1 ? 0 : 1; }
int cudaStreamDestroy(void *stream) { free(stream); return 0; }
int cudaStreamSynchronize(void *stream) { FAILS(cudaStreamSynchronize); return stream ? 0 : 1; }
int cudaEventCreate(void **made) { *made = calloc(1, sizeof(struct timespec)); return 0; }
int cudaEventDestroy(void *event) { free(event); return 0; }
int cudaEventRecord(void *event, void *stream) { return stream ? clock_gettime(CLOCK_MONOTONIC, event) : 1; }
int cudaEventElapsedTime(float *ms, const struct timespec *start, const struct timespec *end) {
  if (!start->tv_sec || !end->tv_sec) return 600;
  *ms = (end->tv_sec - start->tv_sec) * 1e3 + (end->tv_nsec - start->tv_nsec) / 1e6;
  return 0;
}
