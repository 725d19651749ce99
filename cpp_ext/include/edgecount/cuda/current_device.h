// Which device's primary context a thread works in.
#pragma once

namespace edgecount::cuda {

/// Makes the primary context of a device current on this thread for the life of this object, and
/// then again what was current before: another library's own context, or none.
///
/// Throws Error when there is no such device, or no driver.
class CurrentDevice {
public:
    explicit CurrentDevice(int device);
    ~CurrentDevice();
    CurrentDevice(const CurrentDevice&) = delete;
    CurrentDevice& operator=(const CurrentDevice&) = delete;
};

}  // namespace edgecount::cuda
