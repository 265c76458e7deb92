//! libvrfshim
