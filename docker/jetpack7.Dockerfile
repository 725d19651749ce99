# edgecount for Jetson boards with JetPack 7 (L4T r38 and r39, Python 3.12): Thor, from 7.2 on Orin.
#
#   docker build -f docker/jetpack7.Dockerfile -t edgecount:jetpack7 .
#   docker run --rm --gpus all -v "$PWD":/data edgecount:jetpack7 doctor
#
# JetPack 7 has no l4t images any more: it runs NVIDIA's images for Arm servers (SBSA). These hold
# CUDA with nvcc and TensorRT with its Python module. Take the one of your JetPack:
#   7.2         26.05-py3   CUDA 13.2, TensorRT 10.16
#   7.0, 7.1    25.09-py3   CUDA 13.0, TensorRT 10.13    (--build-arg TENSORRT=25.09-py3)
# From 26.06 on they hold TensorRT 11, which does not run on a Jetson before 11.4.1 on JetPack 7.2.2.
ARG TENSORRT=26.05-py3

FROM nvcr.io/nvidia/tensorrt:${TENSORRT} AS build
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        g++ python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY CMakeLists.txt LICENSE NOTICE README.md pyproject.toml ./
COPY cpp_ext ./cpp_ext
COPY edgecount ./edgecount
COPY export ./export
COPY runtime ./runtime
COPY train ./train
# Orin and Thor. Without nvcc this fails, rather than give an image whose GPU stays idle. NVIDIA's
# images may pin Python packages for all of pip by PIP_CONSTRAINT.
ENV CUDACXX=/usr/local/cuda/bin/nvcc CUDAARCHS="87;110" CMAKE_ARGS=-DEDGECOUNT_CUDA=ON PIP_CONSTRAINT=
RUN python3 -m venv /build \
    && /build/bin/pip install --no-cache-dir --upgrade pip \
    && /build/bin/pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM nvcr.io/nvidia/tensorrt:${TENSORRT}
# The compatibility libraries are for servers' GPUs, and would hide the board's own driver.
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        libgl1 libglib2.0-0t64 python3-venv \
    && rm -rf /var/lib/apt/lists/* /usr/local/cuda/compat
COPY --from=build /wheels /wheels
ENV PIP_CONSTRAINT=
# The extra engine lets the container export an .onnx; PyTorch is needed for checkpoints only.
RUN python3 -m venv --system-site-packages /opt/edgecount \
    && /opt/edgecount/bin/pip install --no-cache-dir --upgrade pip \
    && /opt/edgecount/bin/pip install --no-cache-dir \
        "$(echo /wheels/edgecount-*.whl)[engine]" \
    && /opt/edgecount/bin/python -c "from edgecount import _ext; assert _ext.cuda_built" \
    && /opt/edgecount/bin/python -c "from importlib.util import find_spec as f; assert f('tensorrt')"
ENV PATH=/opt/edgecount/bin:${PATH}
# The board's devices (nvmap, video0) belong to this group.
RUN useradd --create-home --groups video edgecount
USER edgecount
WORKDIR /data
ENTRYPOINT ["edgecount"]
CMD ["--help"]
