// A libtorch device for tests on machines without a GPU. It is named "test_device" and can be
// preloaded into any program. It computes with the CPU's kernels but is as strict as a GPU: the
// host can only access its memory through copies (the pages are protected), and an operation
// rejects tensors of different devices.

#include <ATen/EmptyTensor.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/view_native.h>
#include <c10/core/DeviceType.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <sys/mman.h>
#include <torch/library.h>

#include <map>
#include <mutex>
#include <vector>

namespace {

constexpr auto kType = c10::DeviceType::PrivateUse1;
const c10::Device kDevice(kType, 0);

// The device's memory. Each block has its own pages, which fault when the host accesses them,
// except while an Access to that block exists.
class Memory {
 public:
  static Memory& get() {
    static auto* memory = new Memory;  // outlives every tensor
    return *memory;
  }

  void* allocate(size_t bytes) {
    std::lock_guard lock(mutex_);
    const size_t size = (std::max<size_t>(bytes, 1) + kPage - 1) / kPage * kPage;
    std::vector<char*>& free = free_[size];
    char* start;
    if (free.empty()) {
      TORCH_CHECK(used_ + size <= kBytes, "the test device is out of memory");
      start = base_ + used_;
      used_ += size;
    } else {
      start = free.back();
      free.pop_back();
    }
    blocks_[start] = {size, 0};
    return start;
  }

  void release(void* start) {
    std::lock_guard lock(mutex_);
    const auto found = blocks_.find(static_cast<char*>(start));
    free_[found->second.size].push_back(static_cast<char*>(start));
    blocks_.erase(found);
  }

  // `start` must be the start of a block. Other addresses do not belong to this device and are
  // ignored.
  void open(const void* start) {
    std::lock_guard lock(mutex_);
    const auto found = blocks_.find(static_cast<const char*>(start));
    if (found != blocks_.end() && found->second.users++ == 0) {
      protect(*found, PROT_READ | PROT_WRITE);
    }
  }
  void close(const void* start) {
    std::lock_guard lock(mutex_);
    const auto found = blocks_.find(static_cast<const char*>(start));
    if (found != blocks_.end() && --found->second.users == 0) protect(*found, PROT_NONE);
  }

 private:
  // Size of the address space; pages are allocated on first use.
  static constexpr size_t kBytes = size_t{64} << 30;
  static constexpr size_t kPage = 4096;
  struct Block {
    size_t size;
    int users;
  };

  Memory() {
    void* pages =
        mmap(nullptr, kBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    TORCH_CHECK(pages != MAP_FAILED, "no address space for the test device");
    base_ = static_cast<char*>(pages);
  }
  static void protect(const std::pair<const char* const, Block>& entry, int how) {
    void* start = const_cast<char*>(entry.first);
    TORCH_CHECK(mprotect(start, entry.second.size, how) == 0, "mprotect failed");
  }

  std::mutex mutex_;
  char* base_ = nullptr;
  size_t used_ = 0;
  std::map<size_t, std::vector<char*>> free_;  // starts of free blocks by size
  std::map<const char*, Block> blocks_;        // in use, by start
};

// Allows the host to access the blocks that start at these addresses.
class Access {
 public:
  explicit Access(const void* one, const void* other = nullptr) : starts_{one, other} {
    for (const void* start : starts_) Memory::get().open(start);
  }
  explicit Access(const at::Tensor& one) : Access(one.storage().data()) {}
  Access(const at::Tensor& one, const at::Tensor& other)
      : Access(one.storage().data(), other.storage().data()) {}
  ~Access() {
    for (const void* start : starts_) Memory::get().close(start);
  }

 private:
  const void* starts_[2];
};

struct DeviceAllocator final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    void* block = Memory::get().allocate(bytes);
    return {block, block, &release, kDevice};
  }
  static void release(void* block) { Memory::get().release(block); }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    const Access access(to, from);
    default_copy_data(to, from, bytes);
  }
};

DeviceAllocator& allocator() {
  static auto* instance = new DeviceAllocator;
  return *instance;
}

// One device, one stream, and events that are always complete.
struct DeviceGuard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return kType; }
  c10::Device exchangeDevice(c10::Device) const override { return kDevice; }
  c10::Device getDevice() const override { return kDevice; }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device) const override { return stream(); }
  c10::Stream getDefaultStream(c10::Device) const override { return stream(); }
  c10::Stream exchangeStream(c10::Stream) const override { return stream(); }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  void record(void**, const c10::Stream&, c10::DeviceIndex, c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  bool queryStream(const c10::Stream&) const override { return true; }
  void synchronizeStream(const c10::Stream&) const override {}
  void synchronizeEvent(void*) const override {}
  static c10::Stream stream() { return c10::Stream(c10::Stream::DEFAULT, kDevice); }
};
C10_REGISTER_GUARD_IMPL(PrivateUse1, DeviceGuard)

struct Hooks final : at::PrivateUse1HooksInterface {
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  bool isAvailable() const override { return true; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  c10::DeviceIndex getCurrentDevice() const override { return 0; }
};

// The same memory as a CPU tensor, for use while an Access to it exists.
at::Tensor on_host(const at::Tensor& t) {
  if (t.device().is_cpu()) return t;
  return at::from_blob(t.data_ptr(), t.sizes(), t.strides(),
                       t.options().device(at::kCPU).requires_grad(false));
}

at::Tensor empty(at::IntArrayRef size, std::optional<at::ScalarType> type,
                 std::optional<at::Layout>, std::optional<at::Device>, std::optional<bool>,
                 std::optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(size, &allocator(),
                                   c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                   c10::dtype_or_default(type), format);
}

at::Tensor empty_strided(at::IntArrayRef size, at::IntArrayRef stride,
                         std::optional<at::ScalarType> type, std::optional<at::Layout>,
                         std::optional<at::Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(size, stride, &allocator(),
                                           c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                           c10::dtype_or_default(type));
}

at::Tensor copy_from(const at::Tensor& self, const at::Tensor& to, bool) {
  const Access access(self, to);
  on_host(to).copy_(on_host(self));
  return to;
}

const at::Tensor& resize(const at::Tensor& self, at::IntArrayRef size,
                         std::optional<at::MemoryFormat>) {
  int64_t count = 1;
  for (const int64_t n : size) count *= n;
  const size_t bytes = static_cast<size_t>(count + self.storage_offset()) * self.itemsize();
  c10::StorageImpl* storage = self.storage().unsafeGetStorageImpl();
  if (storage->nbytes() < bytes) {
    c10::DataPtr larger = allocator().allocate(bytes);
    if (storage->nbytes() > 0)
      allocator().copy_data(larger.get(), storage->data(), storage->nbytes());
    storage->set_data_ptr_noswap(std::move(larger));
    storage->set_nbytes(bytes);
  }
  self.unsafeGetTensorImpl()->set_sizes_contiguous(size);
  return self;
}

at::Tensor copy_from_and_resize(const at::Tensor& self, const at::Tensor& to) {
  if (to.sizes() != self.sizes()) resize(to, self.sizes(), std::nullopt);
  return copy_from(self, to, false);
}

at::Scalar local_scalar(const at::Tensor& self) {
  const Access access(self);
  return on_host(self).item();
}

void refuse(const c10::OperatorHandle& op, const at::Tensor& tensor) {
  if (!tensor.defined() || !tensor.device().is_cpu() || tensor.dim() == 0) return;
  TORCH_CHECK(false, "expected all tensors to be on the same device: ", op.schema().name(),
              " got one on the CPU among those of the test device");
}

// Rejects operations that a GPU rejects, and computes all others with the CPU's kernels.
void fallback(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const size_t count = op.schema().arguments().size();
  for (const c10::IValue& value : torch::jit::last(*stack, count)) {
    if (value.isTensor()) refuse(op, value.toTensor());
    if (!value.isTensorList()) continue;
    for (const at::Tensor& tensor : value.toTensorVector()) refuse(op, tensor);
  }
  at::native::cpu_fallback(op, stack);
}

const bool registered = [] {
  c10::SetAllocator(kType, &allocator());
  at::RegisterPrivateUse1HooksInterface(new Hooks);
  c10::register_privateuse1_backend("test_device");
  return true;
}();

}  // namespace

TORCH_LIBRARY_IMPL(_, PrivateUse1, m) {
  m.fallback(torch::CppFunction::makeFromBoxedFunction<&fallback>());
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("empty.memory_format", &empty);
  m.impl("empty_strided", &empty_strided);
  m.impl("as_strided", &at::native::as_strided_tensorimpl);
  m.impl("view",
         static_cast<at::Tensor (*)(const at::Tensor&, at::IntArrayRef)>(&at::native::view));
  m.impl("_reshape_alias", &at::native::_reshape_alias);
  m.impl("_copy_from", &copy_from);
  m.impl("_copy_from_and_resize", &copy_from_and_resize);
  m.impl("_local_scalar_dense", &local_scalar);
  m.impl("resize_", &resize);
}
