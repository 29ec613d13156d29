//! rusty: sinks and the newest tokens first, then the attention received per query.
// SPDX-License-Identifier: MIT
#![allow(dead_code)] // what the host reads

use std::os::raw::{c_char, c_void};

#[repr(C)]
pub struct Param {
    key: *const c_char,
    label: *const c_char,
    help: *const c_char,
    min: f64,
    max: f64,
    default_value: f64,
    kind: u32, // 0 real, 1 integer, 2 boolean
    log_scale: u32,
    evolvable: u32,
    reserved: u32,
}

/// The beginning of evl_batch: all cached tokens of one layer.
#[repr(C)]
pub struct Batch {
    struct_size: u64,
    layer: u32,
    num_layers: u32,
    heads: u32,
    tokens: u32,
    sequence_len: u64,
    columns: *const *const f64,
    head_stride: *const isize,
}

/// evl_plugin as version 1.0 had it.
#[repr(C)]
pub struct Plugin {
    magic: u64,
    abi_major: u32,
    abi_minor: u32,
    struct_size: u64,
    id: *const c_char,
    name: *const c_char,
    version: *const c_char,
    description: *const c_char,
    reference: *const c_char,
    flags: u64,
    column_count: u64,
    columns: *const Text,
    param_count: u64,
    param_size: u64,
    params: *const Param,
    preset_count: u64,
    preset_size: u64,
    presets: *const c_void,
    create: extern "C" fn(*const f64, *mut *mut Mine, *mut c_void) -> i32,
    score: extern "C" fn(*mut Mine, *const Batch, *mut f64, *mut c_void) -> i32,
    destroy: extern "C" fn(*mut Mine),
    extension: Option<extern "C" fn(*const c_char) -> *const c_void>,
}
unsafe impl Sync for Plugin {}
unsafe impl Sync for Param {}

#[repr(transparent)]
pub struct Text(*const c_char);
unsafe impl Sync for Text {}

macro_rules! text {
    ($words:literal) => {
        concat!($words, "\0").as_ptr() as *const c_char
    };
}

pub struct Mine {
    sinks: f64,
    window: f64,
}

static COLUMNS: [Text; 3] = [Text(text!("position")), Text(text!("relative_pos")), Text(text!("cumulative_attn"))];

const fn whole(key: *const c_char, help: *const c_char, default_value: f64) -> Param {
    Param { key, label: key, help, min: 0.0, max: 4096.0, default_value, kind: 1, log_scale: 0, evolvable: 1, reserved: 0 }
}
static PARAMS: [Param; 2] = [
    whole(text!("sinks"), text!("first tokens always kept"), 4.0),
    whole(text!("window"), text!("newest tokens always kept"), 16.0),
];

extern "C" fn create(values: *const f64, instance: *mut *mut Mine, _error: *mut c_void) -> i32 {
    let values = unsafe { std::slice::from_raw_parts(values, PARAMS.len()) };
    let made = Box::new(Mine { sinks: values[0], window: values[1] });
    unsafe { *instance = Box::into_raw(made) };
    0
}

extern "C" fn score(instance: *mut Mine, batch: *const Batch, scores: *mut f64, _error: *mut c_void) -> i32 {
    let (mine, batch) = unsafe { (&*instance, &*batch) };
    let tokens = batch.tokens as usize;
    for head in 0..batch.heads as usize {
        let column = |i: usize| unsafe {
            let first = (*batch.columns.add(i)).offset(head as isize * *batch.head_stride.add(i));
            std::slice::from_raw_parts(first, tokens)
        };
        let (position, age, attention) = (column(0), column(1), column(2));
        let out = unsafe { std::slice::from_raw_parts_mut(scores.add(head * tokens), tokens) };
        for i in 0..tokens {
            let kept = position[i] < mine.sinks || age[i] < mine.window;
            out[i] = if kept { f64::INFINITY } else { attention[i] / (age[i] + 1.0) };
        }
    }
    0
}

extern "C" fn destroy(instance: *mut Mine) {
    drop(unsafe { Box::from_raw(instance) });
}

#[no_mangle]
#[allow(non_upper_case_globals)]
pub static evictlab_scorer: Plugin = Plugin {
    magic: 0x3152_4F43_534C_5645,
    abi_major: 1,
    abi_minor: 0,
    struct_size: std::mem::size_of::<Plugin>() as u64,
    id: text!("rusty"),
    name: text!("rusty"),
    version: text!("0.1.0"),
    description: text!("sinks and newest: keep; else cumulative_attn / (age + 1)"),
    reference: text!(""),
    flags: 3, // deterministic, concurrent
    column_count: 3,
    columns: COLUMNS.as_ptr(),
    param_count: 2,
    param_size: std::mem::size_of::<Param>() as u64,
    params: PARAMS.as_ptr(),
    preset_count: 0,
    preset_size: 0,
    presets: std::ptr::null(),
    create,
    score,
    destroy,
    extension: None,
};
