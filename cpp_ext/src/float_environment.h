// The floating-point environment of the kernels.
#pragma once

#include <cfenv>

namespace edgecount {

/// Default rounding and full subnormals for the life of this object.
///
/// ONNX Runtime's set_denormal_as_zero and -ffast-math libraries leave threads that flush
/// subnormals: then halves lose their smallest values and tiny heatmap values tie, so that a count
/// would depend on what ran before on the same thread.
class FloatEnvironment {
public:
    FloatEnvironment() {
        std::fegetenv(&saved_);
        std::fesetenv(FE_DFL_ENV);
    }
    ~FloatEnvironment() { std::fesetenv(&saved_); }
    FloatEnvironment(const FloatEnvironment&) = delete;
    FloatEnvironment& operator=(const FloatEnvironment&) = delete;

private:
    std::fenv_t saved_;
};

}  // namespace edgecount
