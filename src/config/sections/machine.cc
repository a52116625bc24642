#include "config/sections/machine.h"

#include "base/settings/checks.h"

namespace longshot::config {

void bind_machine(Settings& s, std::string& device, int& threads) {
  s.add("trainer.device", &device,
        "device that computes: cpu, or one of libtorch's (cuda, cuda:1)");
  s.add("trainer.threads", &threads, "CPU threads; 0 = all usable cores", at_least(0));
}

}  // namespace longshot::config
