# The frontend is the only user of ONNX's protobuf classes. Debian's ONNX headers need ONNX_ML and the onnx namespace.
target_compile_definitions(cameo_frontend PRIVATE ONNX_ML=1 ONNX_NAMESPACE=onnx)
target_link_libraries(cameo_frontend PRIVATE onnx_proto protobuf::libprotobuf)
