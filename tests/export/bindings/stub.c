/* What TensorRT's Python bindings want from its libraries, less the libraries: all give null. */
#define GIVES_NULL(name) \
    void *name(void) { return 0; }

GIVES_NULL(createInferBuilder_INTERNAL)
GIVES_NULL(createInferRefitter_INTERNAL)
GIVES_NULL(createNvOnnxParserRefitter_INTERNAL)
GIVES_NULL(createNvOnnxParser_INTERNAL)
GIVES_NULL(getBuilderPluginRegistry)
GIVES_NULL(getNvOnnxParserVersion)
GIVES_NULL(getPluginRegistry)
GIVES_NULL(initLibNvInferPlugins)
/* 8.6 alone: the parsers of UFF and Caffe */
GIVES_NULL(_ZN11nvuffparser15createUffParserEv)
GIVES_NULL(_ZN11nvuffparser8FieldMapC1EPKcPKvNS_9FieldTypeEi)
GIVES_NULL(_ZN14nvcaffeparser117createCaffeParserEv)
GIVES_NULL(_ZN14nvcaffeparser123shutdownProtobufLibraryEv)

/* Null as well, until a test gives one. */
static void *runtime;
void give_runtime(void *given) { runtime = given; }
void *createInferRuntime_INTERNAL(void) { return runtime; }
