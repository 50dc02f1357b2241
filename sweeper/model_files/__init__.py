"""A trained network as a file that other programs run: ONNX, torch.export and safetensors."""
