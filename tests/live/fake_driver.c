/* NVML as far as Ray's agents ask it, without a GPU. FAKE_DRIVER_FILE names a file that says how many
 * there are: it may be changed while a process has this library open. */

#include <stdio.h>
#include <stdlib.h>

enum { SUCCESS = 0, NOT_SUPPORTED = 3, GPU_IS_LOST = 15 };

struct memory { unsigned long long total, free, used; };
struct utilization { unsigned gpu, memory; };

static unsigned count(void) {
  unsigned found = 0;
  const char *path = getenv("FAKE_DRIVER_FILE");
  FILE *file = path ? fopen(path, "r") : NULL;
  if (!file) return 0;
  if (fscanf(file, "%u", &found) != 1) found = 0;
  fclose(file);
  return found;
}

int nvmlInitWithFlags(unsigned flags) { (void)flags; return SUCCESS; }
int nvmlInit_v2(void) { return SUCCESS; }
int nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(int error) { return error == GPU_IS_LOST ? "GPU is lost" : "Not Supported"; }

int nvmlDeviceGetCount_v2(unsigned *found) { *found = count(); return SUCCESS; }

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
  if (index >= count()) return GPU_IS_LOST;
  *device = (void *)(size_t)(index + 1);
  return SUCCESS;
}

int nvmlDeviceGetName(void *device, char *name, unsigned length) {
  (void)device;
  snprintf(name, length, "NVIDIA H100 80GB HBM3");
  return SUCCESS;
}

int nvmlDeviceGetUUID(void *device, char *uuid, unsigned length) {
  snprintf(uuid, length, "GPU-%zu", (size_t)device);
  return SUCCESS;
}

int nvmlDeviceGetMemoryInfo(void *device, struct memory *memory) {
  (void)device;
  memory->total = 80ULL << 30;
  memory->used = 60ULL << 30;
  memory->free = memory->total - memory->used;
  return SUCCESS;
}

int nvmlDeviceGetTemperature(void *device, unsigned sensor, unsigned *celsius) {
  (void)sensor;
  *celsius = 60 + (unsigned)(size_t)device;
  return SUCCESS;
}

int nvmlDeviceGetUtilizationRates(void *device, struct utilization *rates) {
  (void)device, (void)rates;
  return NOT_SUPPORTED;
}

static int none(unsigned *found) { *found = 0; return SUCCESS; }

int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *found, void *processes) {
  (void)device, (void)processes;
  return none(found);
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(void *device, unsigned *found, void *processes) {
  (void)device, (void)processes;
  return none(found);
}
