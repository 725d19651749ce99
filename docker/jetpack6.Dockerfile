# edgecount for Jetson Orin boards with JetPack 6.1 and 6.2 (L4T r36.4, Python 3.10).
#
#   docker build -f docker/jetpack6.Dockerfile -t edgecount:jetpack6 .
#   docker run --rm --runtime nvidia -v "$PWD":/data edgecount:jetpack6 doctor
#
# NVIDIA's l4t-tensorrt images hold CUDA 12.6 and TensorRT 10.3 for these boards, with TensorRT's
# module for the system's Python; the devel one also nvcc. The libraries of the driver and of the
# DLA (libnvdla_compiler.so, without which TensorRT does not load) are the board's, and come with
# --runtime nvidia when a container starts: nothing here can import TensorRT while it is built.
ARG TENSORRT=r10.3.0

FROM nvcr.io/nvidia/l4t-tensorrt:${TENSORRT}-devel AS build
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
# Without nvcc this fails, rather than give an image whose GPU stays idle.
ENV CUDACXX=/usr/local/cuda/bin/nvcc CUDAARCHS=87 CMAKE_ARGS=-DEDGECOUNT_CUDA=ON
RUN python3 -m venv /build \
    && /build/bin/pip install --no-cache-dir --upgrade pip \
    && /build/bin/pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM nvcr.io/nvidia/l4t-tensorrt:${TENSORRT}-runtime
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        libgl1 libglib2.0-0 python3-venv \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /wheels /wheels
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
