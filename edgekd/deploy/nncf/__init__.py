"""Post-training quantisation by NNCF, OpenVINO's own, in a process of its own."""
